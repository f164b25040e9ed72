//! Registries: what versions there are, and what each needs.
