"""Measures every so often, and sends "topic value" to each collector as a datagram."""

import socket


class Sensor:
    """Sends readings under a topic to addresses."""

    def __init__(self, topic, addresses):
        self.topic = topic
        self.addresses = addresses
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.count = 0

    def measure(self):
        """Return tenths of a degree: the chip's own where it tells, else a made-up wave."""
        self.count += 1
        try:
            import esp32

            return esp32.mcu_temperature() * 10
        except (ImportError, AttributeError):
            return 200 + abs(self.count % 20 - 10)

    def send(self):
        reading = f"{self.topic} {self.measure()}"
        for address in self.addresses:
            self.socket.sendto(reading.encode(), address)


def start(instance):
    places = [(values["ip"], int(values["port"])) for _, values in instance.imports["Collector"]]
    addresses = [socket.getaddrinfo(ip, port, 0, socket.SOCK_DGRAM)[0][-1] for ip, port in places]
    sensor = Sensor(instance.exports["topic"], addresses)
    instance.log(f"sending {sensor.topic} to {len(addresses)} collectors")
    instance.every(int(instance.exports["period"]), sensor.send)


# A collector moved or came: the new calls take the place of the old ones.
update = start
