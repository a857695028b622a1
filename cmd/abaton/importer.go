package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// Bounds of an import.
const (
	// postsAtOnce is how many Bundles are under way at the gateway.
	postsAtOnce = 4
	// newAtOnce is how many new patients are made known in one message.
	newAtOnce = 32
	// heldBytesMax is how many bytes of Bundles wait for their patients.
	heldBytesMax = 48 << 20
	// refusalsShown bounds the list on the terminal; all of them are counted.
	refusalsShown = 1000
	// sessionSpare is how long before its end a session is renewed.
	sessionSpare = 2 * time.Minute
)

// unit is one Bundle to be sent. Sending it again adds nothing.
type unit struct {
	from    string // for people: the file, the lines
	body    []byte
	hash    [32]byte
	entries int
	source  []byte         // names the patient it belongs to; nil for none
	handle  string         // the patient's, if it is new
	patient *people.Person // filled in before it is sent
	labels  []string       // for people: what each entry is, where that is not its number
	again   bool           // tried for the second time
}

// refusal is one resource, or one Bundle, that was not taken.
type refusal struct {
	where, reason string
}

// imported says how an import went.
type imported struct {
	Resources int           `json:"resources"` // durable, or there already
	Skipped   int           `json:"skipped"`   // of those, known from the journal
	Pending   int           `json:"pending"`   // accepted by the gateway, not yet at four keepers
	Patients  int           `json:"patients"`  // new ones
	Refused   int           `json:"refused"`
	Spent     time.Duration `json:"-"`
	refusals  []refusal
}

// importer brings files into a local network through its gateway, as the
// records office.
type importer struct {
	e       *env
	n       *local.Network
	c       *client.Network // asks with the office's key
	staff   *staff
	readers []people.Terms                              // what new patients give at once, beside the importing grant
	custody *keeping                                    // who keeps new patients' records; nil: the patients themselves
	duty    func(context.Context, abaton.ActorID) error // begins a new patient's duty copy; nil: none is kept
	journal *journal
	bar     *progress

	known   map[string]*people.Person // by source
	lent    map[string]bool           // sources whose seeds the session has
	renewal sync.Mutex
	session *people.Session

	mu    sync.Mutex
	out   imported
	later []*unit // what refers to what was not there yet

	loose []source // files of resources that are in no transaction
}

// newImporter prepares an import into n. Close it.
func newImporter(ctx context.Context, e *env, n *local.Network, readers ...people.Terms) (*importer, error) {
	org, err := n.Organisation()
	if err != nil {
		return nil, err
	}
	asOrg, err := newDevice(n, org)
	if err != nil {
		return nil, err
	}
	s, err := newStaff(ctx, n, asOrg.net)
	asOrg.hangUp()
	if err != nil {
		return nil, err
	}
	return openImporter(ctx, e, n, s, readers)
}

func openImporter(ctx context.Context, e *env, n *local.Network, s *staff, readers []people.Terms) (*importer, error) {
	m := &importer{e: e, n: n, staff: s, readers: readers, known: make(map[string]*people.Person), lent: make(map[string]bool)}
	patients, err := n.People().All(actor.Patient)
	if err != nil {
		return nil, err
	}
	kept, err := n.People().AllInCustody()
	if err != nil {
		return nil, err
	}
	for _, p := range append(kept, patients...) {
		if p.Source != nil {
			m.known[string(p.Source)] = p
		}
	}
	if m.journal, err = openJournal(filepath.Join(n.Dir(), "import")); err != nil {
		return nil, err
	}
	office, err := newDevice(n, s.office)
	if err != nil {
		return nil, errors.Join(err, m.journal.Close())
	}
	m.c = office.net
	directory, err := s.office.HeldOf(ctx, m.c, s.org.ID)
	if err == nil {
		m.session, err = n.People().SignIn(ctx, s.office, n.GatewayURL(), directory)
	}
	if err != nil {
		office.hangUp()
		return nil, errors.Join(err, m.journal.Close())
	}
	return m, nil
}

// run imports the sources and says how it went. An error means that it was
// broken off; what was reported before is durable.
func (m *importer) run(ctx context.Context, sources []source) (*imported, error) {
	var total int64
	for _, s := range sources {
		total += s.size
	}
	m.bar = newProgress(m.e, total)
	err := m.pass(ctx, func(yield func(*unit) error) error { return m.units(sources, yield) })
	if err == nil && len(m.loose) > 0 {
		err = m.pass(ctx, m.rest)
	}
	if err == nil && len(m.later) > 0 {
		err = m.pass(ctx, m.again)
	}
	_, m.out.Spent = m.bar.end()
	return &m.out, errors.Join(err, m.journal.Close())
}

// again are the Bundles that referred to what came after them.
func (m *importer) again(yield func(*unit) error) error {
	again := m.later
	m.later = nil
	for _, u := range again {
		u.again = true
		if err := yield(u); err != nil {
			return err
		}
	}
	return nil
}

// pass sends all units of a sequence: while some wait for their patients to be
// known, others are under way.
func (m *importer) pass(ctx context.Context, units func(yield func(*unit) error) error) error {
	g, ctx := errgroup.WithContext(ctx)
	ready := make(chan *unit)
	for range postsAtOnce {
		g.Go(func() error {
			for u := range ready {
				if err := m.send(ctx, u); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(ready)
		w := &waiting{m: m, ready: ready}
		if err := units(func(u *unit) error { return w.add(ctx, u) }); err != nil {
			return err
		}
		return w.flush(ctx)
	})
	return g.Wait()
}

// waiting are units whose patients are not known to the keepers or not lent to
// the gateway yet.
type waiting struct {
	m     *importer
	ready chan<- *unit
	units []*unit
	fresh map[string]bool
	bytes int
}

func (w *waiting) add(ctx context.Context, u *unit) error {
	if e, ok := w.m.journal.has(u.hash); ok {
		w.m.skipped(e.Resources)
		return nil
	}
	if u.source == nil { // of the directory: all else refers to it
		return w.m.send(ctx, u)
	}
	if w.m.lent[string(u.source)] {
		u.patient = w.m.known[string(u.source)]
		return w.pass(ctx, u)
	}
	if w.fresh == nil {
		w.fresh = make(map[string]bool)
	}
	w.units, w.bytes = append(w.units, u), w.bytes+len(u.body)
	w.fresh[string(u.source)] = true
	if len(w.fresh) < newAtOnce && w.bytes < heldBytesMax {
		return nil
	}
	return w.flush(ctx)
}

func (w *waiting) pass(ctx context.Context, u *unit) error {
	select {
	case w.ready <- u:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flush makes the waiting patients known and passes the units on.
func (w *waiting) flush(ctx context.Context) error {
	if len(w.units) == 0 {
		return nil
	}
	if err := w.m.admit(ctx, w.units); err != nil {
		return err
	}
	for _, u := range w.units {
		u.patient = w.m.known[string(u.source)]
		if err := w.pass(ctx, u); err != nil {
			return err
		}
	}
	w.units, w.bytes, w.fresh = nil, 0, nil
	return nil
}

// admit makes actors for the patients of units that have none, publishes them,
// and lends the gateway what the office may read of them.
func (m *importer) admit(ctx context.Context, units []*unit) error {
	var all []*people.Person
	seen := make(map[string]bool)
	for _, u := range units {
		if seen[string(u.source)] {
			continue
		}
		seen[string(u.source)] = true
		p := m.known[string(u.source)]
		if p == nil {
			var err error
			terms := append([]people.Terms{people.Importing(m.staff.office)}, m.readers...)
			if p, err = m.newPatient(u, terms); err != nil {
				return err
			}
			m.known[string(u.source)] = p
			m.mu.Lock()
			m.out.Patients++
			m.mu.Unlock()
		}
		all = append(all, p)
	}
	// Those made by an import that was killed may not be known to the keepers
	// yet; for the others this has no effect.
	if err := people.Introduce(ctx, m.c, all...); err != nil {
		return err
	}
	if err := m.keeps(ctx, all); err != nil {
		return err
	}
	if err := m.lend(ctx, all); err != nil {
		return err
	}
	for _, p := range all {
		m.lent[string(p.Source)] = true
	}
	return nil
}

// keeps begins the duty copies of patients, before anything of them is filed.
func (m *importer) keeps(ctx context.Context, all []*people.Person) error {
	for _, p := range all {
		if m.duty == nil {
			return nil
		}
		if err := m.duty(ctx, p.ID); err != nil {
			return fmt.Errorf("%s: %w", p.Handle, err)
		}
	}
	return nil
}

// newPatient makes a patient of whose record a team or nobody else has the
// root.
func (m *importer) newPatient(u *unit, terms []people.Terms) (*people.Person, error) {
	if m.custody != nil {
		return m.n.People().NewKept(u.handle, u.source, m.staff.org, m.custody.team, m.custody.box, terms...)
	}
	return m.n.People().NewPatient(u.handle, "", u.source, m.staff.org, terms...)
}

// lend gives the gateway the office's seeds of these patients. A patient whose
// importing grant has run out gives a new one: the import plays the device.
func (m *importer) lend(ctx context.Context, all []*people.Person) error {
	for _, p := range all {
		m.c.Refresh(p.ID)
	}
	log := make([]string, 0, len(all))
	ids := idsOf(all)
	logs, err := m.c.Logs(ctx, ids...)
	if err != nil {
		return err
	}
	for _, p := range all {
		if st := logs[p.ID]; st != nil && people.Reads(st, m.staff.office, time.Now(), time.Hour) {
			continue
		}
		if p.Manage == nil {
			return fmt.Errorf("%s: the import's day is over: %w", p.Handle, people.ErrKept)
		}
		if _, _, err := p.Give(ctx, m.c, people.Importing(m.staff.office)); err != nil {
			return err
		}
		log = append(log, p.Handle)
	}
	if len(log) > 0 {
		m.e.say("%d patients gave the records office access again, for a day.", len(log))
	}
	bundles, err := m.staff.office.HeldOf(ctx, m.c, ids...)
	if err != nil {
		return err
	}
	m.renewal.Lock()
	defer m.renewal.Unlock()
	return m.session.Lend(ctx, bundles)
}

// signedIn is the office's session, renewed before it ends.
func (m *importer) signedIn(ctx context.Context) (*people.Session, error) {
	m.renewal.Lock()
	defer m.renewal.Unlock()
	if time.Until(m.session.Expires) > sessionSpare {
		return m.session, nil
	}
	bundles, err := m.staff.office.Held(ctx, m.c)
	if err != nil {
		return nil, err
	}
	m.session, err = m.n.People().SignIn(ctx, m.staff.office, m.n.GatewayURL(), bundles)
	return m.session, err
}

func (m *importer) skipped(resources int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out.Resources += resources
	m.out.Skipped += resources
}

func (m *importer) refuse(where, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out.Refused++
	m.out.refusals = append(m.out.refusals, refusal{where, reason})
}

// sourceOf names a patient by where it comes from, without saying it.
func sourceOf(name string) []byte {
	sum := sha256.Sum256([]byte("abaton import source\x00" + name))
	return sum[:16]
}

// handleOf is a folder name for a patient that comes from a source: part of
// its id there, never a person's name.
func handleOf(name string) string {
	id := name[strings.LastIndexAny(name, "/:")+1:]
	var b strings.Builder
	for _, r := range strings.ToLower(id) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		}
		if b.Len() == 8 {
			break
		}
	}
	if b.Len() == 0 {
		return "patient-" + hex.EncodeToString(sourceOf(name)[:4])
	}
	return fmt.Sprintf("patient-%s", b.String())
}
