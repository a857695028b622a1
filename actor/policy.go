package actor

import (
	"time"
	"unicode/utf8"

	"github.com/abaton-health/abaton"
)

// Policy publishes what an organisation tunes for its own people, applications
// and devices (PROTOCOL.md#policy). The text stays bytes here: package policy
// reads it. The newest version that has begun holds, also after its end: then
// it refuses.
type Policy struct {
	Version    uint64   `cbor:"1,keyasint"` // from 1, rising
	NotBefore  int64    `cbor:"2,keyasint"` // unix seconds, inclusive
	Expires    int64    `cbor:"3,keyasint"` // unix seconds, exclusive; at most PolicyLifeMax later
	Text       []byte   `cbor:"4,keyasint"` // UTF-8, at most abaton.PolicyBytesMax
	Simulation [32]byte `cbor:"5,keyasint"` // digest of what a simulation said of it, before it was signed
}

// EventKind of Policy (Body).
func (*Policy) EventKind() EventKind { return EventPolicy }

func (b *Policy) validate() error {
	if len(b.Text) > abaton.PolicyBytesMax {
		return tooLarge()
	}
	return valid(b.Version > 0 && b.NotBefore >= 0 && b.Expires > b.NotBefore &&
		b.Expires-b.NotBefore <= int64(PolicyLifeMax.Seconds()) &&
		len(b.Text) > 0 && utf8.Valid(b.Text) && b.Simulation != [32]byte{})
}

func (b *Policy) version() (n uint64, notBefore int64) { return b.Version, b.NotBefore }

// admitPolicy: nothing is published that is over.
func (s *State) admitPolicy(b *Policy, parents []*knot, now int64) error {
	if err := follows(s, s.policies, b, parents); err != nil {
		return err
	}
	if now >= b.Expires {
		return abaton.Refuse(abaton.ReasonExpired)
	}
	return nil
}

// officers counts the people who are security officers now. Nobody tunes the
// rules of a place where nobody, or no deputy where two must agree, watches
// over them; what is in force goes on to its end.
func (s *State) officers(now time.Time) (n int) {
	for who := range s.members {
		if m := s.Member(who, now); m != nil && m.Holds(abaton.RoleSecurityOfficer) {
			n++
		}
	}
	return n
}

// Policy is the newest version of an organisation's policy that counts and has
// begun by now, in unix seconds; nil when there is none. It may have ended:
// then it still is the newest, and an older one does not come back.
func (s *State) Policy(now int64) *Policy { return inForce(s.policies, now) }

// Policies are all versions that count, in no order: those that have ended and
// those that have not begun too.
func (s *State) Policies() (all []*Policy) {
	for _, g := range s.policies {
		if g.by.effective() {
			all = append(all, g.value)
		}
	}
	return all
}
