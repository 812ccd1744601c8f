//! Pure: topics, partitions, topic configs.
