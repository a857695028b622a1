package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/policy"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// ledgerRequests are the requests of people, applications and devices in the
// ledger of a stopped keeper's folder, in order, with the facts that ledger and key
// logs hold; asIf fills in the others. Work on a copy: opening a store may finish
// what was half written.
func ledgerRequests(dir string, asIf []byte) ([]*policy.Facts, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("open keeper's folder: %w", err)
	}
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return nil, fmt.Errorf("open keeper's folder: %w", err)
	}
	defer s.Close()
	r := &recorded{store: s, asIf: asIf, logs: make(map[abaton.ActorID]*actor.State), opened: make(map[abaton.ActorID]map[abaton.ActorID]int64)}
	var bad error
	// PROTOCOL.md#ledger-entry: under "e", salt, then the entry.
	err = s.Raw('l').Scan([]byte{'e'}, []byte{'e' + 1}, func(_, value []byte) bool {
		bad = r.take(value)
		return bad == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	return r.all, nil
}

// recorded is a ledger half read.
type recorded struct {
	store  *store.Store
	asIf   []byte
	logs   map[abaton.ActorID]*actor.State
	opened map[abaton.ActorID]map[abaton.ActorID]int64 // when each actor last opened each patient
	all    []*policy.Facts
}

func (r *recorded) take(value []byte) error {
	if len(value) <= ledger.SaltSize {
		return nil // redacted
	}
	en, err := ledger.ParseEntry(value[ledger.SaltSize:])
	if err != nil {
		return err
	}
	mode := modeOfOp(en.Op)
	if mode == "" || en.Actor == en.Patient {
		return nil
	}
	who, err := r.log(en.Actor)
	if err != nil {
		return err
	}
	patient, err := r.log(en.Patient)
	if err != nil || who == nil || patient == nil {
		return err
	}
	f := &policy.Facts{Kind: policy.KindOf(who.Kind()), Organisation: en.Organisation.String(), Mode: mode, Purpose: en.Purpose, Now: en.Time}
	if f.Level, err = r.level(patient, &en); err != nil {
		return err
	}
	f.PatientsHour, f.PatientsDay = r.counts(&en)
	if g, _ := patient.Grant(en.Grant); g != nil {
		f.Grant = &policy.GrantFacts{NotBefore: g.NotBefore, Expires: g.Expires}
	}
	if json.Unmarshal(r.asIf, f) != nil {
		return usage("--as-if is not facts as JSON")
	}
	r.all = append(r.all, f)
	return nil
}

// counts are the windows as this keeper had them.
func (r *recorded) counts(en *ledger.Entry) (hour, day int64) {
	seen := r.opened[en.Actor]
	if seen == nil {
		seen = make(map[abaton.ActorID]int64)
		r.opened[en.Actor] = seen
	}
	maps.DeleteFunc(seen, func(_ abaton.ActorID, at int64) bool { return en.Time-at >= 86400 })
	hour, day = 1, 1
	for patient, at := range seen {
		if patient == en.Patient {
			continue
		}
		day++
		if en.Time-at < 3600 {
			hour++
		}
	}
	if en.Outcome != ledger.Refused {
		seen[en.Patient] = en.Time
	}
	return hour, day
}

// level is the highest among the lines asked for; 1 where none is known any more.
func (r *recorded) level(patient *actor.State, en *ledger.Entry) (int64, error) {
	lines := slices.Clone(en.Lines)
	for _, row := range en.Rows {
		n, err := r.store.Notice(en.Patient, row.Batch)
		if errors.Is(err, store.ErrAbsent) || errors.Is(err, store.ErrErased) {
			continue
		}
		if err != nil {
			return 0, err
		}
		lines = append(lines, n.Line)
	}
	level := uint8(1)
	for _, line := range lines {
		if seg, ok := patient.Newest(line); ok {
			level = max(level, seg.Level)
		}
	}
	return int64(level), nil
}

// log is an actor's key log as the keeper had it; nil if it knows none.
func (r *recorded) log(id abaton.ActorID) (*actor.State, error) {
	if st, known := r.logs[id]; known {
		return st, nil
	}
	var items []store.Statement
	if err := r.store.Statements(id, 0, func(item store.Statement) bool { items = append(items, item); return true }); err != nil {
		return nil, err
	}
	slices.SortFunc(items, func(a, b store.Statement) int { return int(a.Index) - int(b.Index) })
	var st *actor.State
	for _, item := range items {
		if st == nil {
			st = new(actor.State)
		}
		if err := replay(st, item.Bytes); err != nil {
			return nil, fmt.Errorf("read key log: %w", err)
		}
	}
	r.logs[id] = st
	return st, nil
}

// replay applies one stored statement, which the keeper verified before it
// stored it.
func replay(st *actor.State, stored []byte) error {
	var s keeper.Statement
	if err := wire.Unmarshal(stored, &s); err != nil {
		return err
	}
	signed, err := actor.ParseSigned(s.Event)
	if err != nil {
		return err
	}
	a, err := actor.Reopen(signed)
	if err != nil {
		return err
	}
	if err := st.Apply(a); err != nil || len(s.Certificate) == 0 {
		return err
	}
	cert, err := actor.ParseCertificate(s.Certificate)
	if err != nil {
		return err
	}
	return st.Certify(cert.Reopen())
}

func modeOfOp(op ledger.Op) policy.Mode {
	switch op {
	case ledger.OpRelease:
		return policy.Release
	case ledger.OpPermit:
		return policy.Permit
	case ledger.OpList:
		return policy.List
	case ledger.OpIndex:
		return policy.Index
	}
	return ""
}
