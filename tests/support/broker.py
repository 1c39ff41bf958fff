"""An MQTT broker in memory, on virtual time: retained messages, wills, cuts, doubles, delays.

It keeps to what MQTT 3.1.1 promises over clean sessions: order per topic and connection, QoS 1 at
least once while the connection lasts, nothing once it is cut. Different topics may overtake each
other when `shuffle` is on.
"""


class Session:
    """One connection of a client.

    Args:
        client: has `on_connected()`, `on_subscribed()`, `on_message(topic, payload)`,
            `on_acked(slot)` and `on_cut(session)`.
        will: (topic, payload), retained, or None.
    """

    def __init__(self, client_id, client, will):
        self.client_id = client_id
        self.client = client
        self.will = will
        self.filters = set()
        self.alive = True
        self.last_at = {}


class Broker:
    """Delivers on the world's clock.

    Attributes:
        delay: function → ms that one hop takes.
        doubled: share of the QoS-1 messages that come twice.
        lossy: share of the QoS-0 messages that are lost.
        shuffle: whether messages of different topics may overtake each other.
    """

    def __init__(self, world):
        self.world = world
        self.retained = {}
        self.sessions = {}
        self.running = True
        self.doubled = 0.0
        self.lossy = 0.0
        self.shuffle = False
        self.delay = lambda: 1
        self.count = 0

    def connect(self, client_id, client, will=None):
        """Return a session, or None while the broker is down; a former one is taken over."""
        if not self.running:
            return None
        if client_id in self.sessions:
            self.cut(client_id)
        session = Session(client_id, client, will)
        self.sessions[client_id] = session
        self._later(session, "", client.on_connected)
        return session

    def cut(self, client_id, will_after=0):
        """End a connection without a DISCONNECT; its will goes out."""
        session = self.sessions.pop(client_id, None)
        if session is None:
            return
        session.alive = False
        if session.will:
            self.world.after(will_after, self._send_will, session)
        self.world.after(0, session.client.on_cut, session)

    def disconnect(self, session):
        """End a connection as a client does that says goodbye."""
        if session.alive:
            session.alive = False
            del self.sessions[session.client_id]

    def stop(self, wipe=False):
        """Go down; every connection is cut, and no will survives."""
        self.running = False
        for client_id in sorted(self.sessions):
            self.sessions[client_id].will = None
            self.cut(client_id)
        if wipe:
            self.retained.clear()

    def subscribe(self, session, filters):
        if not session.alive:
            return
        session.filters.update(filters)
        self._later(session, "", session.client.on_subscribed)
        for topic in sorted(self.retained):
            if any(_matches(f, topic) for f in filters):
                self._deliver(session, topic, self.retained[topic], 1)

    def unsubscribe(self, session, filters):
        session.filters.difference_update(filters)

    def publish(self, session, topic, payload, qos, retain, slot=None):
        """Take a message from a client; it travels one hop to get here."""
        if session.alive:
            self._later(session, topic, self._arrived, session, topic, payload, qos, retain, slot)

    def _arrived(self, session, topic, payload, qos, retain, slot):
        if qos:
            self._later(session, "", session.client.on_acked, slot)
        self._spread(topic, payload, qos, retain)

    def _spread(self, topic, payload, qos, retain):
        self.count += 1
        if retain:
            if payload:
                self.retained[topic] = payload
            else:
                self.retained.pop(topic, None)
        for client_id in sorted(self.sessions):
            session = self.sessions[client_id]
            if any(_matches(f, topic) for f in session.filters):
                self._deliver(session, topic, payload, qos)

    def _deliver(self, session, topic, payload, qos):
        random = self.world.random
        if qos == 0 and random.random() < self.lossy:
            return
        copies = 2 if qos and random.random() < self.doubled else 1
        for _ in range(copies):
            self._later(session, topic, session.client.on_message, topic, payload)

    def _send_will(self, session):
        if self.running:
            self._spread(session.will[0], session.will[1], 1, True)

    def _later(self, session, topic, function, *arguments):
        """Call after one hop, if the connection still is; in order, per topic at least."""
        lane = topic if self.shuffle else ""
        at = max(self.world.now + self.delay(), session.last_at.get(lane, 0))
        session.last_at[lane] = at
        self.world.at(at, _if_alive, session, function, arguments)


def _if_alive(session, function, arguments):
    if session.alive:
        function(*arguments)


def _matches(pattern, topic):
    if "+" not in pattern and "#" not in pattern:
        return pattern == topic
    wanted, have = pattern.split("/"), topic.split("/")
    for index, part in enumerate(wanted):
        if part == "#":
            return True
        if index >= len(have) or (part != "+" and part != have[index]):
            return False
    return len(wanted) == len(have)
