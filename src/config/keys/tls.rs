//! Broker keys: TLS.

use crate::config::def::Check::{Any, OneOf};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};
use crate::config::value::Secret;

declare! { TLS_KEYS: Broker;
    SSL_ALLOW_DN_CHANGES: boolean "ssl.allow.dn.changes" = false, Any, ReadOnly, Later,
        "Whether a new certificate may have another distinguished name.";
    SSL_ALLOW_SAN_CHANGES: boolean "ssl.allow.san.changes" = false, Any, ReadOnly, Later,
        "Whether a new certificate may have other alternative names.";
    SSL_CIPHER_SUITES: list "ssl.cipher.suites" = "", Any, PerBroker, Later,
        "The cipher suites to offer; empty for the library's own choice.";
    SSL_CLIENT_AUTH: string "ssl.client.auth" = "none",
        OneOf(&["required", "requested", "none"]), PerBroker, Later,
        "Whether clients must, may or need not show a certificate.";
    SSL_ENABLED_PROTOCOLS: list "ssl.enabled.protocols" = "TLSv1.2,TLSv1.3", Any, PerBroker, Later,
        "The TLS versions to offer.";
    SSL_ENDPOINT_IDENTIFICATION_ALGORITHM: string "ssl.endpoint.identification.algorithm" = "https",
        Any, PerBroker, WithoutMeaning,
        "How a server's name is checked, as a client.";
    SSL_ENGINE_FACTORY_CLASS: opt_class "ssl.engine.factory.class", Any, PerBroker, WithoutMeaning,
        "A Java class that makes TLS engines.";
    SSL_KEY_PASSWORD: opt_password "ssl.key.password", Any, PerListener, Later,
        "The password of the private key.";
    SSL_KEYMANAGER_ALGORITHM: string "ssl.keymanager.algorithm" = "SunX509", Any, PerBroker, WithoutMeaning,
        "The algorithm of Java's key manager.";
    SSL_KEYSTORE_CERTIFICATE_CHAIN: opt_password "ssl.keystore.certificate.chain", Any, PerListener, Later,
        "The certificate chain itself, as PEM.";
    SSL_KEYSTORE_KEY: opt_password "ssl.keystore.key", Any, PerListener, Later,
        "The private key itself, as PEM.";
    SSL_KEYSTORE_LOCATION: opt_string "ssl.keystore.location", Any, PerListener, Later,
        "The file with private key and certificate chain.";
    SSL_KEYSTORE_PASSWORD: opt_password "ssl.keystore.password", Any, PerListener, Later,
        "The password of the key store file.";
    SSL_KEYSTORE_TYPE: string "ssl.keystore.type" = "JKS", Any, PerListener, Later,
        "The format of the key store file.";
    SSL_PRINCIPAL_MAPPING_RULES: string "ssl.principal.mapping.rules" = "DEFAULT", Any, ReadOnly, Later,
        "How distinguished names of clients become user names.";
    SSL_PROTOCOL: string "ssl.protocol" = "TLSv1.3", Any, PerBroker, Later,
        "The TLS version to prefer.";
    SSL_PROVIDER: opt_string "ssl.provider", Any, PerBroker, WithoutMeaning,
        "The Java provider of TLS.";
    SSL_SECURE_RANDOM_IMPLEMENTATION: opt_string "ssl.secure.random.implementation",
        Any, PerBroker, WithoutMeaning,
        "Java's source of randomness for TLS.";
    SSL_TRUSTMANAGER_ALGORITHM: string "ssl.trustmanager.algorithm" = "PKIX", Any, PerBroker, WithoutMeaning,
        "The algorithm of Java's trust manager.";
    SSL_TRUSTSTORE_CERTIFICATES: opt_password "ssl.truststore.certificates", Any, PerListener, Later,
        "The trusted certificates themselves, as PEM.";
    SSL_TRUSTSTORE_LOCATION: opt_string "ssl.truststore.location", Any, PerListener, Later,
        "The file with trusted certificates.";
    SSL_TRUSTSTORE_PASSWORD: opt_password "ssl.truststore.password", Any, PerListener, Later,
        "The password of the trust store file.";
    SSL_TRUSTSTORE_TYPE: string "ssl.truststore.type" = "JKS", Any, PerListener, Later,
        "The format of the trust store file.";
}
