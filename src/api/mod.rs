//! One file per API key, and the table that drives dispatch, ApiVersions and docs.
