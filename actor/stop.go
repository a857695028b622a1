package actor

import "github.com/abaton-health/abaton"

// EventStop is the kind of Stop.
const EventStop EventKind = 18

// Stop ends an actor for ever: no key and no passkey of its log is live from
// the moment a keeper has it (PROTOCOL.md#stop).
type Stop struct{}

// EventKind of Stop (Body).
func (*Stop) EventKind() EventKind { return EventStop }

func (*Stop) validate() error { return nil }

// Stopped reports whether the actor has ended.
func (s *State) Stopped() bool { return s.stopped }

// admitStopped refuses what a stopped actor would still be given.
func (s *State) admitStopped(k EventKind) error {
	if s.stopped && !Narrows(k) {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	return nil
}
