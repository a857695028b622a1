package actor

// Origin is the event that this log began with, as bytes: the hash that it has
// is the actor's name, so that whoever knows the name can take the box key and
// the first keys from it without believing who hands it over. Nil where the
// log has not begun. It is not to be changed.
func (s *State) Origin() []byte {
	for _, n := range s.knots {
		if n.a.event.Kind == EventInception {
			return n.a.signed.Event
		}
	}
	return nil
}
