//! Pure: validation, offset assignment, producer state, row formats of a partition log.
