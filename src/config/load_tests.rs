//! Which place counts, what is refused, and what is said about the rest.

use std::path::PathBuf;

use clap::{CommandFactory, Parser};

use super::{Arguments, Config, Flags, Inputs, Listener, Loaded, Notice, keys, load};

fn from_file(text: &str) -> Inputs {
    Inputs {
        file: Some((PathBuf::from("server.properties"), text.to_owned())),
        ..Inputs::default()
    }
}

fn from_set(pairs: &[&str]) -> Inputs {
    Inputs {
        set: pairs.iter().map(|pair| (*pair).to_owned()).collect(),
        ..Inputs::default()
    }
}

fn from_flags(flags: Flags) -> Inputs {
    Inputs {
        flags,
        ..Inputs::default()
    }
}

fn loaded(inputs: Inputs) -> Loaded {
    load(inputs).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(inputs: Inputs) -> String {
    match load(inputs) {
        Ok(loaded) => panic!("{:?}", loaded.config),
        Err(error) => error.to_string(),
    }
}

fn listeners(inputs: Inputs) -> Vec<Listener> {
    loaded(inputs).config.listeners().unwrap().broker
}

fn listener(name: &str, host: &str, port: u16, advertised: Option<(&str, u16)>) -> Listener {
    Listener {
        name: name.to_owned(),
        host: host.to_owned(),
        port,
        advertised: advertised.map(|(host, port)| (host.to_owned(), port)),
    }
}

#[test]
fn each_place_counts_before_those_below_it() {
    // Bit n of the mask says whether place n sets num.partitions; the highest that does counts.
    for mask in 0..16u8 {
        let has = |place: u8| mask & (1 << place) != 0;
        let inputs = Inputs {
            file: has(0).then(|| (PathBuf::from("f"), "num.partitions=10".to_owned())),
            environment: if has(1) {
                vec![("KAFKA_NUM_PARTITIONS".to_owned(), "11".to_owned())]
            } else {
                Vec::new()
            },
            is_dev: false,
            is_container: true,
            set: if has(2) {
                vec!["num.partitions=12".to_owned()]
            } else {
                Vec::new()
            },
            flags: Flags {
                partitions: has(3).then(|| "13".to_owned()),
                ..Flags::default()
            },
        };
        let expected = (0..4)
            .rev()
            .find(|place| has(*place))
            .map_or(1, |place| 10 + place);
        let found = loaded(inputs).config.get(keys::NUM_PARTITIONS);
        assert_eq!(found, i32::from(expected), "{mask:04b}");
    }
}

#[test]
fn dev_counts_before_the_file_and_after_set_and_flags() {
    let mut inputs = from_file("ottla.store=local\nlisteners=PLAINTEXT://:9092");
    inputs.is_dev = true;
    let config = loaded(inputs.clone()).config;
    assert_eq!(config.get(keys::OTTLA_STORE), "memory");
    assert_eq!(config.get(keys::GROUP_INITIAL_REBALANCE_DELAY_MS), 0);
    assert_eq!(
        config.listeners().unwrap().broker,
        [listener("PLAINTEXT", "127.0.0.1", 0, None)]
    );
    inputs.set = vec!["group.initial.rebalance.delay.ms=7".to_owned()];
    inputs.flags.store = Some("local".to_owned());
    let config = loaded(inputs).config;
    assert_eq!(config.get(keys::GROUP_INITIAL_REBALANCE_DELAY_MS), 7);
    assert_eq!(config.get(keys::OTTLA_STORE), "local");
}

fn in_container(variables: &[(&str, &str)]) -> Inputs {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Inputs {
        environment: variables.iter().map(owned).collect(),
        is_container: true,
        ..Inputs::default()
    }
}

#[test]
fn a_container_without_settings_serves_whoever_reaches_it() {
    let inputs = in_container(&[]);
    assert_eq!(
        listeners(inputs.clone()),
        [listener("PLAINTEXT", "", 9092, None)]
    );
    let loaded = loaded(inputs);
    assert_eq!(
        loaded.config.data_folder(),
        PathBuf::from("/var/lib/kafka/data")
    );
    assert!(loaded.config.get(keys::OTTLA_READY_LINE).is_some());
    assert!(loaded.notices.is_empty());
}

#[test]
fn a_container_takes_the_variables_of_kafkas_image() {
    let plain = [
        ("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"),
        ("KAFKA_NODE_ID", "7"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "7@broker:29093"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        (
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
        ),
        (
            "KAFKA_ADVERTISED_LISTENERS",
            "PLAINTEXT_HOST://localhost:9092,PLAINTEXT://broker:19092",
        ),
        ("KAFKA_LOG_DIRS", "/tmp/kraft-combined-logs"),
    ];
    let advertised = [
        listener("PLAINTEXT_HOST", "", 9092, Some(("localhost", 9092))),
        listener("PLAINTEXT", "", 19092, Some(("broker", 19092))),
    ];
    let Loaded { config, notices } = loaded(in_container(&plain));
    let is_warning = |notice: &Notice| matches!(notice, Notice::Warning(_));
    assert!(!notices.iter().any(is_warning), "{notices:?}");
    assert_eq!(config.listeners().unwrap().broker, advertised);
    assert_eq!(config.get(keys::NODE_ID), 7);
    assert_eq!(
        config.data_folder(),
        PathBuf::from("/tmp/kraft-combined-logs")
    );

    let listening = "CONTROLLER://:29093,PLAINTEXT_HOST://:1,PLAINTEXT://broker:2";
    let explicit = [&plain[..], &[("KAFKA_LISTENERS", listening)]].concat();
    assert_eq!(
        listeners(in_container(&explicit)),
        [
            listener("PLAINTEXT_HOST", "", 1, Some(("localhost", 9092))),
            listener("PLAINTEXT", "broker", 2, Some(("broker", 19092))),
        ]
    );
    let two = [("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@a:1,2@b:1")];
    let warning =
        "each Ottla is a cluster of its own, nothing is shared between these nodes: 1@a:1, 2@b:1";
    let notices = loaded(in_container(&two)).notices;
    assert!(notices.contains(&Notice::Warning(warning.to_owned())));
    let empty = [("KAFKA_ADVERTISED_LISTENERS", "")];
    assert_eq!(
        listeners(in_container(&empty)),
        [listener("PLAINTEXT", "", 9092, None)]
    );
    let unreadable = refused(in_container(&[("KAFKA_ADVERTISED_LISTENERS", "localhost")]));
    assert!(
        unreadable.contains("cannot read `localhost`"),
        "{unreadable}"
    );
}

#[test]
fn of_keys_that_set_one_thing_the_higher_place_counts() {
    let mut inputs = from_file("log.retention.ms=1\nlog.dirs=/a\nbroker.id=4");
    inputs.set = vec![
        "log.retention.hours=2".to_owned(),
        "log.dir=/b".to_owned(),
        "node.id=5".to_owned(),
    ];
    let config = loaded(inputs).config;
    assert_eq!(config.get(keys::LOG_RETENTION_MS), None);
    assert_eq!(config.data_folder(), PathBuf::from("/b"));
    assert_eq!(config.get(keys::NODE_ID), 5);

    let config = loaded(from_file("log.dir=/b\nlog.dirs=/a\nbroker.id=4")).config;
    assert_eq!(config.data_folder(), PathBuf::from("/a"));
    assert_eq!(config.get(keys::NODE_ID), 4);
    assert!(refused(from_file("broker.id=4\nnode.id=5")).starts_with("node.id is 5"));
}

#[test]
fn kafkas_own_server_properties_starts() {
    let loaded = loaded(from_file(include_str!("testdata/server.properties")));
    assert_eq!(
        loaded.config.listeners().unwrap().broker,
        [listener("PLAINTEXT", "", 9092, Some(("localhost", 9092)))]
    );
    assert_eq!(
        loaded.config.data_folder(),
        PathBuf::from("/tmp/kraft-combined-logs")
    );
    let expected = [
        Notice::Info(
            "controller listeners are not opened, there is no controller here: CONTROLLER".to_owned(),
        ),
        Notice::Info(
            "accepted, without meaning here: controller.quorum.bootstrap.servers, \
             inter.broker.listener.name, num.io.threads, num.network.threads, \
             num.recovery.threads.per.data.dir, offsets.topic.replication.factor, process.roles, \
             share.coordinator.state.topic.min.isr, share.coordinator.state.topic.replication.factor, \
             transaction.state.log.min.isr, transaction.state.log.replication.factor"
                .to_owned(),
        ),
        Notice::Warning(
            "accepted, but what they govern is not there yet: log.retention.check.interval.ms, \
             log.retention.hours, log.segment.bytes"
                .to_owned(),
        ),
    ];
    assert_eq!(loaded.notices, expected);
}

#[test]
fn refusals_name_the_place_and_give_advice() {
    for (inputs, text) in [
        (
            from_file("\n# x\nnum.partition=3"),
            "server.properties line 3: unknown key `num.partition`\nhint: did you mean `num.partitions`?",
        ),
        (
            from_set(&["colour=red"]),
            "--set: unknown key `colour`\nhint: docs/config.md lists every key",
        ),
        (
            from_set(&["num.partitions"]),
            "--set: cannot read `num.partitions`\nhint: write --set key=value",
        ),
        (
            from_set(&["num.partitions=0"]),
            "--set: Invalid value 0 for configuration num.partitions: Value must be at least 1",
        ),
        (
            from_set(&["ottla.durability=sometimes"]),
            "--set: Invalid value sometimes for configuration ottla.durability: String must be one of: fsync, os",
        ),
        (
            from_set(&["process.roles=controller"]),
            "process.roles has no broker in it\nhint: a broker here needs no controller: leave that process out",
        ),
        (
            from_set(&["log.dirs=/a,/b"]),
            "log.dirs names 2 folders\nhint: everything is kept in one folder; name that one",
        ),
        (
            from_set(&["queued.max.request.bytes=5"]),
            "queued.max.request.bytes (5) is below socket.request.max.bytes (104857600)\n\
             hint: one request must fit: raise the first or lower the second",
        ),
        (
            from_set(&["log.retention.ms=0"]),
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1\nhint: -1 keeps records for ever",
        ),
        (
            from_file("a=\\u12"),
            "server.properties: line 1: `\\u` needs four hexadecimal digits",
        ),
    ] {
        assert_eq!(refused(inputs), text);
    }
    let variable = ("KAFKA_NODE_ID".to_owned(), "one".to_owned());
    let inputs = Inputs {
        environment: vec![variable],
        ..Inputs::default()
    };
    assert_eq!(
        refused(inputs),
        "environment variable KAFKA_NODE_ID: Invalid value one for configuration node.id: Not a number of type INT"
    );
}

#[test]
fn a_secret_that_is_refused_or_shown_stays_secret() {
    let config = loaded(from_set(&["ssl.key.password=pst"])).config;
    assert_eq!(config.get(keys::SSL_KEY_PASSWORD).unwrap().reveal(), "pst");
    assert!(!format!("{config:?}").contains("pst"));
}

#[test]
fn what_has_no_meaning_here_is_accepted_in_one_line() {
    let text =
        "zookeeper.connect=z:2181\nlistener.name.internal.ssl.key.password=x\nssl.provider=p";
    let mut inputs = from_file(text);
    inputs.environment = vec![("KAFKA_HEAP_OPTS".to_owned(), "-Xmx1g".to_owned())];
    assert_eq!(
        loaded(inputs).notices,
        [
            Notice::Info(
                "accepted, without meaning here: ssl.provider, listener.name.internal.ssl.key.password"
                    .to_owned()
            ),
            Notice::Info("accepted, Kafka 4 has them no more: zookeeper.connect".to_owned()),
            Notice::Warning("environment variables that are no keys, ignored: KAFKA_HEAP_OPTS".to_owned()),
        ]
    );
    assert!(loaded(Inputs::default()).notices.is_empty());
}

#[test]
fn listeners_are_read_as_in_kafka() {
    assert_eq!(
        listeners(Inputs::default()),
        [listener("PLAINTEXT", "127.0.0.1", 9092, None)]
    );
    assert_eq!(
        listeners(from_set(&[
            "listeners=inside://[::1]:1, OUTSIDE://0.0.0.0:0",
            "listener.security.protocol.map=INSIDE:PLAINTEXT,outside:plaintext",
            "advertised.listeners=outside://broker.example.org:4",
        ])),
        [
            listener("INSIDE", "::1", 1, None),
            listener("OUTSIDE", "0.0.0.0", 0, Some(("broker.example.org", 4))),
        ]
    );
    for (pairs, text) in [
        (
            &["listeners=127.0.0.1:9092"][..],
            "listeners: cannot read `127.0.0.1:9092`",
        ),
        (
            &["listeners=PLAINTEXT://h:99999"],
            "listeners: cannot read `PLAINTEXT://h:99999`",
        ),
        (
            &["listeners=SSL://:1"],
            "listener `SSL` speaks SSL: TLS and SASL are not there yet",
        ),
        (
            &["listeners=MINE://:1"],
            "no security protocol is defined for listener `MINE`",
        ),
        (
            &["listeners=PLAINTEXT://:1,plaintext://:2"],
            "listeners: the name `PLAINTEXT` stands there twice",
        ),
        (
            &[
                "listeners=PLAINTEXT://h:1,B://h:1",
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,B:PLAINTEXT",
            ],
            "listeners: two listeners are on h:1",
        ),
        (
            &["listener.security.protocol.map=A"],
            "listener.security.protocol.map: cannot read `A`",
        ),
        (
            &["advertised.listeners=B://h:1"],
            "advertised.listeners: there is no listener `B`",
        ),
        (
            &["advertised.listeners=PLAINTEXT://0.0.0.0:1"],
            "advertised.listeners: clients cannot connect to 0.0.0.0",
        ),
        (
            &["controller.listener.names=PLAINTEXT"],
            "listeners: there is none for clients",
        ),
        (&["listeners="], "listeners: there is none for clients"),
    ] {
        let refusal = refused(from_set(pairs));
        let (first, hint) = refusal.split_once('\n').unwrap();
        assert_eq!(first, text);
        assert!(hint.starts_with("hint: "), "{hint}");
    }
}

#[test]
fn listen_and_advertise_name_their_listeners() {
    let flags = |listen: &[&str], advertise: &[&str]| {
        let owned = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        from_flags(Flags {
            listen: owned(listen),
            advertise: owned(advertise),
            ..Flags::default()
        })
    };
    assert_eq!(
        listeners(flags(
            &["0.0.0.0:9092", "[::1]:9093"],
            &["broker.example.org"]
        )),
        [
            listener(
                "PLAINTEXT",
                "0.0.0.0",
                9092,
                Some(("broker.example.org", 9092))
            ),
            listener("PLAINTEXT_2", "::1", 9093, None),
        ]
    );
    assert_eq!(
        listeners(flags(&["LAN://:0"], &["[2001:db8::1]:7"])),
        [listener("LAN", "", 0, Some(("2001:db8::1", 7)))]
    );
    assert_eq!(
        listeners(flags(&[], &["2001:db8::1"])),
        [listener(
            "PLAINTEXT",
            "127.0.0.1",
            9092,
            Some(("2001:db8::1", 9092))
        )]
    );
    assert!(refused(flags(&["9092"], &[])).starts_with("--listen: cannot read `9092`\nhint: "));
    assert!(refused(flags(&[], &["a:b"])).starts_with("--advertise: cannot read `a:b`\nhint: "));
    assert!(
        refused(flags(&[], &["a", "b"])).starts_with("--advertise: 2 addresses for 1 listeners")
    );
}

#[test]
fn flags_reach_their_keys() {
    let line = "ottla --node-id 3 --partitions 4 --data /d --durability os --store memory --log debug --log-format \
                json --ready-file /r --listen 127.0.0.1:1,127.0.0.1:2 --listen 127.0.0.1:3 -s a=b";
    let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
    let mut inputs = arguments.into_inputs(Vec::new()).unwrap();
    assert_eq!(inputs.set, ["a=b"]);
    inputs.set.clear();
    let config: Config = loaded(inputs).config;
    assert_eq!(config.get(keys::NODE_ID), 3);
    assert_eq!(config.get(keys::NUM_PARTITIONS), 4);
    assert_eq!(config.data_folder(), PathBuf::from("/d"));
    assert_eq!(config.get(keys::OTTLA_DURABILITY), "os");
    assert_eq!(config.get(keys::OTTLA_STORE), "memory");
    assert_eq!(config.get(keys::OTTLA_LOG_FILTER), "debug");
    assert_eq!(config.get(keys::OTTLA_LOG_FORMAT), "json");
    assert_eq!(config.get(keys::OTTLA_READY_FILE).as_deref(), Some("/r"));
    assert_eq!(config.listeners().unwrap().broker.len(), 3);
}

#[test]
fn the_help_page_is_the_one_that_was_read_last() {
    let help = Arguments::command()
        .term_width(100)
        .render_help()
        .to_string();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/config/testdata/help.txt");
    if std::env::var_os("OTTLA_BLESS").is_some() {
        std::fs::write(&path, &help).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == help,
        "read it, then OTTLA_BLESS=1 cargo test --lib help_page:\n{help}"
    );
    assert!(help.lines().all(|line| line.len() <= 110), "{help}");
}
