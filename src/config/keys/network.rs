//! Broker keys: listeners, sockets and connections.

use crate::config::def::Check::{AddressCounts, Any, AtLeast};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { NETWORK_KEYS: Broker;
    ADVERTISED_LISTENERS: opt_list "advertised.listeners", Any, ReadOnly, Honoured,
        "The addresses that clients are told to use, one per listener. Without one, a client is told the address that its connection came in on.";
    CONNECTION_FAILED_AUTHENTICATION_DELAY_MS: int "connection.failed.authentication.delay.ms" = 100,
        AtLeast(0), ReadOnly, Later,
        "How long closing a connection is put off after a failed login.";
    CONNECTIONS_MAX_IDLE_MS: long "connections.max.idle.ms" = 600_000, Any, ReadOnly, Honoured,
        "A connection without traffic for this long is closed; negative for never.";
    CONNECTIONS_MAX_REAUTH_MS: long "connections.max.reauth.ms" = 0, Any, ReadOnly, Later,
        "The longest life of a login before the client must log in again; 0 for no limit.";
    EARLY_START_LISTENERS: opt_list "early.start.listeners", Any, ReadOnly, WithoutMeaning,
        "Listeners that may start before authorization is ready.";
    LISTENER_SECURITY_PROTOCOL_MAP: string "listener.security.protocol.map" = "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        Any, ReadOnly, Honoured,
        "Which security protocol each listener name speaks.";
    LISTENERS: list "listeners" = "PLAINTEXT://127.0.0.1:9092", Any, ReadOnly, Honoured,
        "The addresses to listen on, NAME://host:port, comma separated; an empty host means every interface, port 0 any free port.";
    MAX_CONNECTION_CREATION_RATE: int "max.connection.creation.rate" = 2_147_483_647,
        AtLeast(0), ClusterWide, Later,
        "The most new connections per second.";
    MAX_CONNECTIONS: int "max.connections" = 2_147_483_647, AtLeast(0), ClusterWide, Honoured,
        "The most connections at a time; further ones wait until one closes.";
    MAX_CONNECTIONS_PER_IP: int "max.connections.per.ip" = 2_147_483_647, AtLeast(0), ClusterWide, Honoured,
        "The most connections at a time from one address; further ones are closed.";
    MAX_CONNECTIONS_PER_IP_OVERRIDES: string "max.connections.per.ip.overrides" = "",
        AddressCounts, ClusterWide, Honoured,
        "Connection limits of single addresses, address:count, comma separated.";
    NUM_IO_THREADS: int "num.io.threads" = 8, AtLeast(1), ClusterWide, WithoutMeaning,
        "Threads of Kafka's request handlers; here the runtime uses every core.";
    NUM_NETWORK_THREADS: int "num.network.threads" = 3, AtLeast(1), ClusterWide, WithoutMeaning,
        "Threads of Kafka's network layer; here the runtime uses every core.";
    QUEUED_MAX_REQUEST_BYTES: long "queued.max.request.bytes" = -1, Any, ReadOnly, Honoured,
        "Bytes of requests that may be in memory over all connections; -1 for ottla.request.memory.bytes.";
    QUEUED_MAX_REQUESTS: int "queued.max.requests" = 500, AtLeast(1), ReadOnly, WithoutMeaning,
        "Length of Kafka's request queue; here bytes are counted instead.";
    REQUEST_TIMEOUT_MS: int "request.timeout.ms" = 30_000, Any, ReadOnly, WithoutMeaning,
        "How long Kafka's brokers wait for each other's answers.";
    SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS: long "socket.connection.setup.timeout.max.ms" = 30_000,
        Any, ReadOnly, WithoutMeaning,
        "The longest wait for a connection to another broker.";
    SOCKET_CONNECTION_SETUP_TIMEOUT_MS: long "socket.connection.setup.timeout.ms" = 10_000,
        Any, ReadOnly, WithoutMeaning,
        "The first wait for a connection to another broker.";
    SOCKET_LISTEN_BACKLOG_SIZE: int "socket.listen.backlog.size" = 50, AtLeast(1), ReadOnly, Honoured,
        "How many connections the kernel may hold until they are accepted.";
    SOCKET_RECEIVE_BUFFER_BYTES: int "socket.receive.buffer.bytes" = -1, Any, ReadOnly, Honoured,
        "The receive buffer of a connection's socket; -1 for the system's own.";
    SOCKET_REQUEST_MAX_BYTES: int "socket.request.max.bytes" = 104_857_600, AtLeast(1), ReadOnly, Honoured,
        "The largest request; a larger one closes its connection before memory is spent.";
    SOCKET_SEND_BUFFER_BYTES: int "socket.send.buffer.bytes" = -1, Any, ReadOnly, Honoured,
        "The send buffer of a connection's socket; -1 for the system's own.";
}
