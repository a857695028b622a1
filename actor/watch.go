package actor

import "slices"

// Kinds of the events by which an organisation tunes and undoes the watch.
const (
	EventWatch EventKind = 23
	EventLift  EventKind = 26
)

// Limits of the events of the watch.
const (
	// ThresholdsBytesMax bounds the thresholds of one event, in bytes: 32 roles
	// of a hundred bytes, and room to spare.
	ThresholdsBytesMax = 8 << 10
	// LiftedMax is how many verdicts and bars one lift may name: what all keepers say of
	// a dozen people.
	LiftedMax = 64
)

// Watch publishes what an organisation tunes of detection (PROTOCOL.md#watch).
// The thresholds stay bytes here: keepers read them, and vote for none beyond
// their hard caps. The newest version that has begun holds.
type Watch struct {
	Version    uint64 `cbor:"1,keyasint"` // from 1, rising
	NotBefore  int64  `cbor:"2,keyasint"` // unix seconds, inclusive
	Thresholds []byte `cbor:"3,keyasint"` // canonical detect.Thresholds
}

// EventKind of Watch (Body).
func (*Watch) EventKind() EventKind { return EventWatch }

func (b *Watch) validate() error {
	if len(b.Thresholds) > ThresholdsBytesMax {
		return tooLarge()
	}
	return valid(b.Version > 0 && b.NotBefore >= 0 && len(b.Thresholds) > 0)
}

// Why says why verdicts are lifted. Zero is no reason.
type Why uint8

// The reasons of version 1.
const (
	Mistaken  Why = iota + 1 // there was nothing to find
	Explained                // what was done had a reason that nobody had told
	Ended                    // it was theft, and it is over: keys and devices are changed
)

// Lift ends verdicts of keepers about people, sessions and devices of the
// organisation, and bars of its own that have an end, by the names of their
// events (PROTOCOL.md#lift). It names them one by one: what is found
// afterwards is found anew.
type Lift struct {
	Verdicts [][32]byte `cbor:"1,keyasint"` // ascending, unique
	Why      Why        `cbor:"2,keyasint"`
}

// EventKind of Lift (Body).
func (*Lift) EventKind() EventKind { return EventLift }

func (b *Lift) validate() error {
	if len(b.Verdicts) > LiftedMax {
		return tooLarge()
	}
	for i, v := range b.Verdicts {
		if v == [32]byte{} || i > 0 && slices.Compare(b.Verdicts[i-1][:], v[:]) >= 0 {
			return malformed()
		}
	}
	return valid(len(b.Verdicts) > 0 && b.Why >= Mistaken && b.Why <= Ended)
}

func (b *Watch) version() (n uint64, notBefore int64) { return b.Version, b.NotBefore }

// admitWatch: versions rise as a policy's do.
func (s *State) admitWatch(b *Watch, parents []*knot) error {
	return follows(s, s.watches, b, parents)
}

// Watch is the newest version of an organisation's thresholds that counts and
// has begun by now, in unix seconds; nil when there is none.
func (s *State) Watch(now int64) *Watch { return inForce(s.watches, now) }

// Lifted reports whether this organisation has lifted a verdict, or a bar.
func (s *State) Lifted(verdict [32]byte) bool {
	return slices.ContainsFunc(s.lifts[verdict], func(by *knot) bool { return by.effective() })
}

// LiftedBy are the verdicts that one event lifted, in no order.
func (s *State) LiftedBy(event [32]byte) (verdicts [][32]byte) {
	for verdict, events := range s.lifts {
		if slices.ContainsFunc(events, func(by *knot) bool { return by.a.Hash() == event && by.effective() }) {
			verdicts = append(verdicts, verdict)
		}
	}
	return verdicts
}

func (s *State) lift(b *Lift, by *knot) {
	if s.lifts == nil {
		s.lifts = make(map[[32]byte][]*knot)
	}
	for _, v := range b.Verdicts {
		s.lifts[v] = append(s.lifts[v], by)
	}
}
