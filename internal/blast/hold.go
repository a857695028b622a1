package blast

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
)

// hold is what a thief has in hand: the keys that a thing brings, and those
// that these unlock.
type hold struct {
	sessions []Thing // of kind Session
	passkeys map[abaton.ActorID]bool
	devices  map[abaton.ActorID]bool // can sign for sessions at this device
	locked   map[abaton.ActorID]bool // an actor's keys, under its passkey
	boxes    map[abaton.ActorID]bool // opens what was sealed to an actor or a team
	roots    map[abaton.ActorID]bool // every seed of an owner
	manages  map[abaton.ActorID]int  // how many managing keys of an organisation
	alarms   map[abaton.ActorID]bool
	attests  map[abaton.ActorID]bool
	writes   map[abaton.ActorID]bool // an organisation's writer key
	kits     map[abaton.ActorID]bool // half A of a patient's kits
	keepers  map[abaton.KeeperIndex]bool
}

// holding is what these things bring together.
func (w *World) holding(things ...Thing) *hold {
	h := &hold{
		passkeys: make(map[abaton.ActorID]bool), devices: make(map[abaton.ActorID]bool), locked: make(map[abaton.ActorID]bool),
		boxes: make(map[abaton.ActorID]bool), roots: make(map[abaton.ActorID]bool), manages: make(map[abaton.ActorID]int),
		alarms: make(map[abaton.ActorID]bool), attests: make(map[abaton.ActorID]bool), writes: make(map[abaton.ActorID]bool),
		kits: make(map[abaton.ActorID]bool), keepers: make(map[abaton.KeeperIndex]bool),
	}
	for _, t := range things {
		h.take(w, t)
	}
	h.unlock(w)
	return h
}

func (h *hold) take(w *World, t Thing) {
	switch t.Kind {
	case Session:
		h.sessions = append(h.sessions, t)
	case Passkey:
		if w.passkeyLives(t) {
			h.passkeys[t.Actor] = true
		}
	case Device:
		if t.Actor != (abaton.ActorID{}) {
			h.devices[t.Actor] = true
		}
		for _, who := range t.Held {
			h.locked[who] = true
		}
	case Person, Trustee:
		h.passkeys[t.Actor], h.locked[t.Actor] = w.passkeyLives(t), true
		h.boxes[t.Actor], h.roots[t.Actor] = true, true
		if t.Device != (abaton.ActorID{}) {
			h.devices[t.Device] = true
		}
	case ManageKey:
		h.manages[t.Actor] = min(h.manages[t.Actor]+1, w.managers(t.Actor))
	case AlarmKey:
		h.alarms[t.Actor] = true
	case AttestKey:
		h.attests[t.Actor] = true
	case Organisation:
		h.takeOrganisation(w, t.Actor)
	case TeamSeed:
		h.boxes[t.Team] = true
	case Gateway:
		h.writes[t.Actor], h.boxes[t.Actor] = true, true
	case Kit:
		h.kits[t.Actor] = true
	case Authority:
		h.boxes[t.Actor] = true
	case Keeper:
		h.keepers[t.Keeper] = true
	}
}

// takeOrganisation: its root gives the seeds of its own lines and of its teams.
func (h *hold) takeOrganisation(w *World, id abaton.ActorID) {
	s := w.log(id)
	if s == nil {
		return
	}
	h.alarms[id], h.attests[id], h.roots[id] = true, true, true
	h.manages[id] = w.managers(id)
	for _, t := range s.Teams() {
		h.boxes[t.Team] = true
	}
}

// managers is how many live managing keys an organisation has.
func (w *World) managers(id abaton.ActorID) (n int) {
	s := w.log(id)
	if s == nil {
		return 0
	}
	for _, rights := range s.LiveKeys() {
		if rights&actor.Manage != 0 {
			n++
		}
	}
	return n
}

func (w *World) passkeyLives(t Thing) bool {
	s := w.log(t.Actor)
	if s == nil || s.Stopped() {
		return false
	}
	live := s.LiveCredentials()
	if t.Credential == (key.Credential{}) {
		return len(live) > 0
	}
	return live[t.Credential] != 0
}

// unlock: a passkey opens its owner's keys where they lie, and these the seats
// and duties sealed to the owner.
func (h *hold) unlock(w *World) {
	for who := range h.locked {
		if h.passkeys[who] {
			h.boxes[who], h.roots[who] = true, true
		}
	}
	for _, org := range w.houses {
		if h.governs(org) { // it lists a writer key of its own
			h.writes[org.Actor()] = true
		}
	}
	h.boxes = w.withTeams(h.boxes)
}

// withTeams adds the teams whose keys were sealed to any of these actors: by a
// seat, now or once, or by a colleague's duty.
func (w *World) withTeams(boxes map[abaton.ActorID]bool) map[abaton.ActorID]bool {
	out := make(map[abaton.ActorID]bool, len(boxes))
	for who, has := range boxes {
		out[who] = has
		if !has {
			continue
		}
		for _, org := range w.houses {
			for _, t := range org.Teams() {
				if len(org.SeatSeeds(t.Team, who)) > 0 {
					out[t.Team] = true
				}
			}
		}
		for _, c := range w.people {
			for _, d := range c.Duties(w.f.Now) {
				if d.To == who {
					out[d.Team] = true
				}
			}
		}
	}
	return out
}
