// Package blast computes what a thief of exactly one thing reaches: which
// records of whom, until when, how fast, and with which second thing more.
//
//	w, err := blast.New(blast.Facts{Logs: logs, Batches: batches, Set: set, Now: now})
//	r := w.Reach(blast.Thing{Kind: blast.Person, Actor: clinician, Device: laptop})
//	r.Patients, r.Records, r.Opens
//
// A record opens with two locks, so a thief needs the seed of its segment and a
// session that three keepers let in. Which seeds a thing brings and which
// sessions it can begin follow from the key logs; whether keepers let a session
// read is asked of the code that they ask (session.Check, grant.Decide,
// policy.Decide). It is an upper bound where the logs say no more: a grant
// counts as bringing every epoch that was announced when it was given, a hand-on
// all that its grant brought, a seat in a team every key the team had. That a
// thief lets others in (Power) is not followed further. It sees no copies that people made of what
// they read, and it protects nothing.
package blast

import (
	"bytes"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/policy"
	"github.com/abaton-health/abaton/key"
)

// Kind is what was stolen. The zero Kind is nothing and reaches nothing.
type Kind string

// The things.
const (
	Session       Kind = "session"        // an open session with the seeds lent to it, no passkey
	Passkey       Kind = "passkey"        // a passkey, without the device its owner's keys lie on
	Device        Kind = "device"         // a locked device: its own keys, and others' keys that a passkey unlocks
	Person        Kind = "person"         // all that a person, an app or an agent has: passkey, keys, device
	ManageKey     Kind = "manage-key"     // one managing key of an organisation
	AlarmKey      Kind = "alarm-key"      // an organisation's key that reports lost devices
	AttestKey     Kind = "attest-key"     // an organisation's key that vouches for devices
	Organisation  Kind = "organisation"   // every key of an organisation, but its gateway's
	TeamSeed      Kind = "team-seed"      // the key of a team
	Gateway       Kind = "gateway"        // a gateway's disk: writer key, box, outbox
	GatewayMemory Kind = "gateway-memory" // a running gateway with everybody of the staff signed in: several things at once
	Kit           Kind = "kit"            // a paper kit
	Authority     Kind = "authority"      // the key of an emergency authority
	Trustee       Kind = "helper"         // all that a helper has
	Keeper        Kind = "keeper"         // one keeper's disk and keys
)

// Thing names what was stolen.
type Thing struct {
	Kind   Kind
	Actor  abaton.ActorID     // whose; a device's own name, zero for a patient's
	Device abaton.ActorID     // of a clinician's session or person: where it sits
	Team   abaton.ActorID     // of a team's seed; Actor is the organisation
	Keeper abaton.KeeperIndex // of a keeper
	Held   []abaton.ActorID   // of a device: whose locked keys lie on it
	Role   string             // of a session: in which role; empty for any that its actor has
	Behalf abaton.ActorID     // of a session: in whose place
	Until  int64              // of a session: its end, in unix seconds
	// Credential is which passkey; zero for any live one of Actor.
	Credential key.Credential
}

// Batch is what is known of one batch: how many records it holds that are not
// erased, without its index.
type Batch struct {
	Owner   abaton.ActorID // patient, or organisation for lines of its own
	Line    abaton.Line
	Segment abaton.SegmentID
	Records int
}

// Facts is what a world is computed from.
type Facts struct {
	Logs    map[abaton.ActorID]*actor.State // every key log that is known
	Batches []Batch
	// Counted are the owners all of whose batches are in Batches.
	Counted map[abaton.ActorID]bool
	Set     *actor.Set
	Now     time.Time
	// Served are the organisations for whose doctors the emergency authorities
	// lend, as their operators set it; nil: for those of all.
	Served map[abaton.ActorID]bool
}

// World is what is known at one time. It does not change.
type World struct {
	f        Facts
	owners   []*actor.State // those whose logs have lines, by name
	houses   []*actor.State // organisations, by name
	people   []*actor.State // clinicians, by name
	batches  map[place][]Batch
	policies map[abaton.ActorID]*policy.Set
	handed   map[abaton.GrantID][]*handing // by the patient's grant
}

type place struct {
	owner abaton.ActorID
	line  abaton.Line
}

// New reads what is known. An organisation's policy that cannot be read
// refuses everything, as it does at a keeper.
func New(f Facts) (*World, error) {
	w := &World{f: f, batches: make(map[place][]Batch), policies: make(map[abaton.ActorID]*policy.Set)}
	schema, err := policy.NewSchema()
	if err != nil {
		return nil, err
	}
	baseline, err := policy.Baseline(schema)
	if err != nil {
		return nil, err
	}
	for _, s := range f.Logs {
		if s == nil || !s.Live() {
			continue
		}
		if len(s.Lines()) > 0 {
			w.owners = append(w.owners, s)
		}
		switch s.Kind() {
		case actor.Organisation:
			w.houses = append(w.houses, s)
			w.policies[s.Actor()] = policyOf(s, f.Now, schema, baseline)
		case actor.Clinician:
			w.people = append(w.people, s)
		}
	}
	for _, list := range [][]*actor.State{w.owners, w.houses, w.people} {
		slices.SortFunc(list, func(a, b *actor.State) int { return compare(a.Actor(), b.Actor()) })
	}
	w.handed = w.handings()
	for _, b := range f.Batches {
		at := place{b.Owner, b.Line}
		w.batches[at] = append(w.batches[at], b)
	}
	return w, nil
}

func compare(a, b abaton.ActorID) int { return bytes.Compare(a[:], b[:]) }

// policyOf is what an organisation published, or else the baseline; nil, which
// refuses, where what it published cannot be read.
func policyOf(org *actor.State, now time.Time, schema *policy.Schema, baseline *policy.Set) *policy.Set {
	body := org.Policy(now.Unix())
	if body == nil {
		return baseline
	}
	rules, err := policy.Parse(body.Text, schema)
	if err != nil {
		return nil
	}
	set, err := policy.NewSet(rules, body.Version, body.NotBefore, body.Expires)
	if err != nil {
		return nil
	}
	return set
}

// log is a live key log; nil when there is none.
func (w *World) log(id abaton.ActorID) *actor.State {
	if s := w.f.Logs[id]; s != nil && s.Live() {
		return s
	}
	return nil
}
