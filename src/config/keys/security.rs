//! Broker keys: authorization, delegation tokens and SASL.

use crate::config::def::Check::{Any, AtLeast};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};
use crate::config::value::Secret;

declare! { SECURITY_KEYS: Broker;
    ALLOW_EVERYONE_IF_NO_ACL_FOUND: boolean "allow.everyone.if.no.acl.found" = false, Any, ReadOnly, Later,
        "Whether a resource without ACLs is open to everyone.";
    AUTHORIZER_CLASS_NAME: string "authorizer.class.name" = "", Any, ReadOnly, Later,
        "The authorizer: empty for none, or Kafka's StandardAuthorizer.";
    DELEGATION_TOKEN_EXPIRY_CHECK_INTERVAL_MS: long "delegation.token.expiry.check.interval.ms" = 3_600_000,
        AtLeast(1), ReadOnly, Later,
        "How often to look for delegation tokens that ran out.";
    DELEGATION_TOKEN_EXPIRY_TIME_MS: long "delegation.token.expiry.time.ms" = 86_400_000,
        AtLeast(1), ReadOnly, Later,
        "How long a delegation token lasts until it must be renewed.";
    DELEGATION_TOKEN_MAX_LIFETIME_MS: long "delegation.token.max.lifetime.ms" = 604_800_000,
        AtLeast(1), ReadOnly, Later,
        "How long a delegation token lasts at most.";
    DELEGATION_TOKEN_SECRET_KEY: opt_password "delegation.token.secret.key", Any, ReadOnly, Later,
        "The secret with which delegation tokens are made.";
    PRINCIPAL_BUILDER_CLASS: class "principal.builder.class" = "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
        Any, PerBroker, WithoutMeaning,
        "A Java class that names the principal of a connection.";
    SASL_CLIENT_CALLBACK_HANDLER_CLASS: opt_class "sasl.client.callback.handler.class",
        Any, ReadOnly, WithoutMeaning,
        "A Java class for SASL as a client.";
    SASL_ENABLED_MECHANISMS: list "sasl.enabled.mechanisms" = "GSSAPI", Any, PerBroker, Later,
        "The SASL mechanisms that clients may use.";
    SASL_JAAS_CONFIG: opt_password "sasl.jaas.config", Any, PerBroker, Later,
        "The login of a listener and mechanism, in JAAS syntax.";
    SASL_KERBEROS_KINIT_CMD: string "sasl.kerberos.kinit.cmd" = "/usr/bin/kinit",
        Any, PerBroker, WithoutMeaning,
        "The path of kinit.";
    SASL_KERBEROS_MIN_TIME_BEFORE_RELOGIN: long "sasl.kerberos.min.time.before.relogin" = 60_000,
        Any, PerBroker, WithoutMeaning,
        "The pause between Kerberos logins.";
    SASL_KERBEROS_PRINCIPAL_TO_LOCAL_RULES: list "sasl.kerberos.principal.to.local.rules" = "DEFAULT",
        Any, PerBroker, WithoutMeaning,
        "How Kerberos principals become user names.";
    SASL_KERBEROS_SERVICE_NAME: opt_string "sasl.kerberos.service.name", Any, PerBroker, WithoutMeaning,
        "The Kerberos name of the service.";
    SASL_KERBEROS_TICKET_RENEW_JITTER: double "sasl.kerberos.ticket.renew.jitter" = 0.05,
        Any, PerBroker, WithoutMeaning,
        "The random share of the time until a Kerberos ticket is renewed.";
    SASL_KERBEROS_TICKET_RENEW_WINDOW_FACTOR: double "sasl.kerberos.ticket.renew.window.factor" = 0.8,
        Any, PerBroker, WithoutMeaning,
        "The share of a Kerberos ticket's life after which it is renewed.";
    SASL_LOGIN_CALLBACK_HANDLER_CLASS: opt_class "sasl.login.callback.handler.class",
        Any, ReadOnly, WithoutMeaning,
        "A Java class for logging in as a client.";
    SASL_LOGIN_CLASS: opt_class "sasl.login.class", Any, ReadOnly, WithoutMeaning,
        "A Java class that logs in.";
    SASL_LOGIN_CONNECT_TIMEOUT_MS: opt_int "sasl.login.connect.timeout.ms", Any, ReadOnly, WithoutMeaning,
        "How long connecting to an identity provider may take.";
    SASL_LOGIN_READ_TIMEOUT_MS: opt_int "sasl.login.read.timeout.ms", Any, ReadOnly, WithoutMeaning,
        "How long an identity provider's answer may take.";
    SASL_LOGIN_REFRESH_BUFFER_SECONDS: short "sasl.login.refresh.buffer.seconds" = 300,
        Any, PerBroker, WithoutMeaning,
        "How long before its end a login's credential is renewed at the latest.";
    SASL_LOGIN_REFRESH_MIN_PERIOD_SECONDS: short "sasl.login.refresh.min.period.seconds" = 60,
        Any, PerBroker, WithoutMeaning,
        "The shortest time between renewals of a login's credential.";
    SASL_LOGIN_REFRESH_WINDOW_FACTOR: double "sasl.login.refresh.window.factor" = 0.8,
        Any, PerBroker, WithoutMeaning,
        "The share of a credential's life after which it is renewed.";
    SASL_LOGIN_REFRESH_WINDOW_JITTER: double "sasl.login.refresh.window.jitter" = 0.05,
        Any, PerBroker, WithoutMeaning,
        "The random share of the time until a credential is renewed.";
    SASL_LOGIN_RETRY_BACKOFF_MAX_MS: long "sasl.login.retry.backoff.max.ms" = 10_000,
        Any, ReadOnly, WithoutMeaning,
        "The longest pause between tries at an identity provider.";
    SASL_LOGIN_RETRY_BACKOFF_MS: long "sasl.login.retry.backoff.ms" = 100, Any, ReadOnly, WithoutMeaning,
        "The first pause between tries at an identity provider.";
    SASL_MECHANISM_CONTROLLER_PROTOCOL: string "sasl.mechanism.controller.protocol" = "GSSAPI",
        Any, ReadOnly, WithoutMeaning,
        "The SASL mechanism towards Kafka's controllers.";
    SASL_MECHANISM_INTER_BROKER_PROTOCOL: string "sasl.mechanism.inter.broker.protocol" = "GSSAPI",
        Any, PerBroker, WithoutMeaning,
        "The SASL mechanism that brokers use among themselves.";
    SASL_SERVER_CALLBACK_HANDLER_CLASS: opt_class "sasl.server.callback.handler.class",
        Any, ReadOnly, WithoutMeaning,
        "A Java class for SASL as a server.";
    SASL_SERVER_MAX_RECEIVE_SIZE: int "sasl.server.max.receive.size" = 524_288, Any, ReadOnly, Later,
        "The largest message during a login.";
    SECURITY_PROVIDERS: opt_string "security.providers", Any, ReadOnly, WithoutMeaning,
        "Java classes that provide security algorithms.";
    SUPER_USERS: string "super.users" = "", Any, ReadOnly, Later,
        "Principals that may do everything, User:name, semicolon separated.";
}
