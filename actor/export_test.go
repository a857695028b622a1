package actor

// Full is full, for tests.
func Full(events int, kind EventKind) bool { return full(events, kind) }
