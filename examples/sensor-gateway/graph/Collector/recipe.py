"""Collects readings: the last of each topic that a sensor exports stands in ``readings.json``."""

import json
import os
import socket


class Collector:
    """Takes datagrams "topic value" at an address."""

    def __init__(self, address, folder):
        self.address = address
        self.folder = folder
        self.socket = None
        self.readings = {}

    def collect(self):
        """Take what has come; called every so often."""
        if self.socket is None:
            # Not earlier: this is called in another process than the steps, on this box.
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.setblocking(False)
            self.socket.bind(self.address)
        topics = load(self.folder + "/topics.json")
        while True:
            try:
                text = self.socket.recv(1024).decode()
            except BlockingIOError:
                break
            topic, _, value = text.rpartition(" ")
            if topic in topics:
                self.readings[topic] = int(value)
        known = {topic: self.readings[topic] for topic in self.readings if topic in topics}
        save(self.folder + "/readings.json", known)


def load(file):
    with open(file) as source:
        return json.load(source)


def save(file, content):
    """Write a file that others read, whole or not at all."""
    with open(file + ".new", "w") as out:
        json.dump(content, out)
    os.replace(file + ".new", file)


def update(instance):
    """Note which topics count: those that sensors export now."""
    topics = [values["topic"] for _, values in instance.imports["Sensor"]]
    instance.log("collecting " + (", ".join(topics) or "nothing yet"))
    save(instance.data_dir + "/topics.json", topics)


def start(instance):
    update(instance)
    address = (instance.exports["ip"], int(instance.exports["port"]))
    instance.every(100, Collector(address, instance.data_dir).collect)
