//! NEON: four registers hold the sixteen lanes.
