//! Broker keys: SASL OAUTHBEARER.

use crate::config::def::Check::{Any, Between, OneOfIgnoringCase};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};
use crate::config::value::Secret;

declare! { OAUTH_KEYS: Broker;
    SASL_OAUTHBEARER_ASSERTION_ALGORITHM: string "sasl.oauthbearer.assertion.algorithm" = "RS256",
        OneOfIgnoringCase(&["ES256", "RS256"]), ReadOnly, WithoutMeaning,
        "The algorithm that signs this client's assertion.";
    SASL_OAUTHBEARER_ASSERTION_CLAIM_AUD: opt_string "sasl.oauthbearer.assertion.claim.aud",
        Any, ReadOnly, WithoutMeaning,
        "The audience in this client's assertion.";
    SASL_OAUTHBEARER_ASSERTION_CLAIM_EXP_SECONDS: int "sasl.oauthbearer.assertion.claim.exp.seconds" = 300,
        Between(0, 86_400), ReadOnly, WithoutMeaning,
        "How long this client's assertion is valid.";
    SASL_OAUTHBEARER_ASSERTION_CLAIM_ISS: opt_string "sasl.oauthbearer.assertion.claim.iss",
        Any, ReadOnly, WithoutMeaning,
        "The issuer in this client's assertion.";
    SASL_OAUTHBEARER_ASSERTION_CLAIM_JTI_INCLUDE: boolean "sasl.oauthbearer.assertion.claim.jti.include" = false,
        Any, ReadOnly, WithoutMeaning,
        "Whether this client's assertion has an id.";
    SASL_OAUTHBEARER_ASSERTION_CLAIM_NBF_SECONDS: int "sasl.oauthbearer.assertion.claim.nbf.seconds" = 60,
        Between(0, 3600), ReadOnly, WithoutMeaning,
        "How far back this client's assertion is valid.";
    SASL_OAUTHBEARER_ASSERTION_CLAIM_SUB: opt_string "sasl.oauthbearer.assertion.claim.sub",
        Any, ReadOnly, WithoutMeaning,
        "The subject in this client's assertion.";
    SASL_OAUTHBEARER_ASSERTION_FILE: opt_string "sasl.oauthbearer.assertion.file",
        Any, ReadOnly, WithoutMeaning,
        "A file with this client's ready assertion.";
    SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE: opt_string "sasl.oauthbearer.assertion.private.key.file",
        Any, ReadOnly, WithoutMeaning,
        "The key that signs this client's assertion.";
    SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE: opt_password "sasl.oauthbearer.assertion.private.key.passphrase",
        Any, ReadOnly, WithoutMeaning,
        "The passphrase of the key that signs this client's assertion.";
    SASL_OAUTHBEARER_ASSERTION_TEMPLATE_FILE: opt_string "sasl.oauthbearer.assertion.template.file",
        Any, ReadOnly, WithoutMeaning,
        "A file with further claims of this client's assertion.";
    SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_ID: opt_string "sasl.oauthbearer.client.credentials.client.id",
        Any, ReadOnly, WithoutMeaning,
        "This client's name at the identity provider.";
    SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET: opt_password "sasl.oauthbearer.client.credentials.client.secret",
        Any, ReadOnly, WithoutMeaning,
        "This client's secret at the identity provider.";
    SASL_OAUTHBEARER_CLOCK_SKEW_SECONDS: int "sasl.oauthbearer.clock.skew.seconds" = 30, Any, ReadOnly, Later,
        "How far the identity provider's clock may be off.";
    SASL_OAUTHBEARER_EXPECTED_AUDIENCE: list "sasl.oauthbearer.expected.audience" = "", Any, ReadOnly, Later,
        "Audiences of which a token must name one.";
    SASL_OAUTHBEARER_EXPECTED_ISSUER: opt_string "sasl.oauthbearer.expected.issuer", Any, ReadOnly, Later,
        "The issuer that a token must name.";
    SASL_OAUTHBEARER_JWKS_ENDPOINT_REFRESH_MS: long "sasl.oauthbearer.jwks.endpoint.refresh.ms" = 3_600_000,
        Any, ReadOnly, Later,
        "How often the identity provider's keys are read again.";
    SASL_OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MAX_MS: long "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms" = 10_000,
        Any, ReadOnly, Later,
        "The longest pause between tries to read the identity provider's keys.";
    SASL_OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MS: long "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms" = 100,
        Any, ReadOnly, Later,
        "The first pause between tries to read the identity provider's keys.";
    SASL_OAUTHBEARER_JWKS_ENDPOINT_URL: opt_string "sasl.oauthbearer.jwks.endpoint.url", Any, ReadOnly, Later,
        "Where the identity provider's keys are.";
    SASL_OAUTHBEARER_JWT_RETRIEVER_CLASS: class "sasl.oauthbearer.jwt.retriever.class" = "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever",
        Any, ReadOnly, WithoutMeaning,
        "A Java class that gets tokens.";
    SASL_OAUTHBEARER_JWT_VALIDATOR_CLASS: class "sasl.oauthbearer.jwt.validator.class" = "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator",
        Any, ReadOnly, WithoutMeaning,
        "A Java class that checks tokens.";
    SASL_OAUTHBEARER_SCOPE: opt_string "sasl.oauthbearer.scope", Any, ReadOnly, WithoutMeaning,
        "The scope that this client asks for.";
    SASL_OAUTHBEARER_SCOPE_CLAIM_NAME: string "sasl.oauthbearer.scope.claim.name" = "scope",
        Any, ReadOnly, Later,
        "The name of a token's claim with its scope.";
    SASL_OAUTHBEARER_SUB_CLAIM_NAME: string "sasl.oauthbearer.sub.claim.name" = "sub", Any, ReadOnly, Later,
        "The name of a token's claim with its user.";
    SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: opt_string "sasl.oauthbearer.token.endpoint.url",
        Any, ReadOnly, WithoutMeaning,
        "Where this client gets its tokens.";
}
