package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// person is one signed-in session: who it is, what its device lent it, and
// the charts it has open. Nothing of it is ever written to disk.
type person struct {
	actor   abaton.ActorID
	id      abaton.SessionID
	reply   *key.Box
	reader  *client.Reader
	expires time.Time
	pages   pager
	limits  *limits // what an app may do with it; nil for the person's own device
	lender  *person // whose reader this is; nil if its own
	role    string  // as what a clinician signed in
	pace    bucket
	roll    roll // of a service: who has which identifier

	mu     sync.Mutex
	held   map[abaton.ActorID]*held
	tags   map[string]abaton.ActorID
	closed bool
}

// held is what a session may open of one patient, or of the organisation's
// directory.
type held struct {
	patient abaton.ActorID
	grants  []heldGrant
	drops   map[abaton.Category]abaton.Line // lines it may write to and not read
	chart   *chart                          // nil when not open
	part    *chart                          // opened for some types only, for a search over many; nil when not open
	used    time.Time
	stepUp  *session.SignedStepUp // the newest; nil without one
	way     wayOn                 // where keepers hold the session back
}

// heldGrant is one grant, zero for the patient's own, and the categories of
// the lines it opens.
type heldGrant struct {
	id     abaton.GrantID
	onward abaton.Handed // by which hand-on of it; zero normally
	lines  map[abaton.Line]abaton.Category
}

// take adds what a device lent. The seeds go to the reader; here only lines
// and categories stay.
func (p *person) take(bundles []session.Bundle, ids ids) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range bundles {
		h := p.held[b.Patient]
		if h == nil {
			h = &held{patient: b.Patient}
			p.held[b.Patient] = h
			p.tags[ids.tag(b.Patient)] = b.Patient
		}
		h.take(b)
		h.chart, h.part = nil, nil // opened anew, with what is granted now
	}
}

func (h *held) take(b session.Bundle) {
	i := slices.IndexFunc(h.grants, func(g heldGrant) bool { return g.id == b.Grant && g.onward == b.Onward })
	if i < 0 {
		h.grants = append(h.grants, heldGrant{id: b.Grant, onward: b.Onward, lines: make(map[abaton.Line]abaton.Category)})
		i = len(h.grants) - 1
	}
	for _, s := range b.Seeds {
		if !s.Seed.IsZero() {
			h.grants[i].lines[s.Line] = s.Category
			continue
		}
		if h.drops == nil {
			h.drops = make(map[abaton.Category]abaton.Line)
		}
		h.drops[s.Category] = s.Line
	}
}

// holds reports whether the session was lent anything of the patient.
func (p *person) holds(patient abaton.ActorID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[patient] != nil
}

// holdsGrant reports whether the session was lent this grant of the patient.
func (p *person) holdsGrant(patient abaton.ActorID, id abaton.GrantID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[patient]
	return h != nil && slices.ContainsFunc(h.grants, func(g heldGrant) bool { return g.id == id })
}

// byTag is the patient whose tag stands in an id.
func (p *person) byTag(tag string) (abaton.ActorID, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	patient, ok := p.tags[tag]
	return patient, ok
}

// openCharts are the patients whose charts are in memory.
func (p *person) openCharts() (patients []abaton.ActorID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, h := range p.held {
		if h.chart != nil {
			patients = append(patients, id)
		}
	}
	return patients
}

// patients are all the session holds something of, in a stable order.
func (p *person) patients() []abaton.ActorID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Keys(p.held), func(a, b abaton.ActorID) int { return slices.Compare(a[:], b[:]) })
}

// count is how many grants the session holds.
func (p *person) count() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.held {
		n += len(h.grants)
	}
	return n
}

// line is the line of a category that the session opens of an actor.
func (p *person) line(patient abaton.ActorID, category abaton.Category) (abaton.Line, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.held[patient]; h != nil {
		for _, g := range h.grants {
			for line, c := range g.lines {
				if c == category {
					return line, true
				}
			}
		}
	}
	return abaton.Line{}, false
}

// drop forgets a chart: after a refusal, or to make room.
func (p *person) drop(patient abaton.ActorID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.held[patient]; h != nil {
		h.chart, h.part = nil, nil
	}
}

// stale makes the next use of a patient's chart ask the keepers first.
func (p *person) stale(patient abaton.ActorID) {
	p.mu.Lock()
	h := p.held[patient]
	var c, part *chart
	if h != nil {
		c, part = h.chart, h.part
	}
	p.mu.Unlock()
	if c != nil {
		c.expire()
	}
	if part != nil {
		part.expire()
	}
}

// close ends the session: charts, seeds and keys are dropped.
func (p *person) close() {
	p.mu.Lock()
	p.closed = true
	clear(p.held)
	clear(p.tags)
	p.mu.Unlock()
	if p.lender == nil {
		p.reader.Close()
	}
}

// asking is how a session opens what it holds of a patient.
type asking struct {
	asks       []client.Ask
	categories map[abaton.Line]fhir.Category
	shielded   map[abaton.Line]bool
	withheld   bool // lines of level 3 are granted, and there is no step-up for them
}

// asks are the requests that open all the session holds of a patient: one
// for each grant that is live in the patient's log and allows a purpose.
// Lines of level 3 are asked for apart, and left out without a step-up: a
// keeper refuses a request with one of them whole, and whoever was granted more
// would then see less.
func (p *person) asks(ctx context.Context, n *client.Network, patient abaton.ActorID, purpose abaton.Purpose, now time.Time) (*asking, error) {
	way := p.session().onward(patient, now)
	state, err := n.Log(ctx, patient)
	if err != nil {
		return nil, err
	}
	handed, err := p.handed(ctx, n, patient)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[patient]
	if h == nil {
		return nil, abaton.ErrNotFound
	}
	out := &asking{categories: make(map[abaton.Line]fhir.Category), shielded: make(map[abaton.Line]bool)}
	for _, g := range h.grants {
		ask := client.Ask{Patient: patient, Grant: g.id, Onward: g.onward, Purpose: abaton.PatientAccess}
		if g.id != (abaton.GrantID{}) {
			live, revoked := state.Grant(g.id)
			if terms, ok := handed[g.onward]; !g.onward.IsZero() && !revoked {
				live, revoked = terms, !ok
			}
			revoked = revoked || live != nil && state.Asleep(live, now) // keepers would refuse, and ledger it
			var ok bool
			if ask.Purpose, ok = purposeOf(live, revoked, purpose, now); !ok {
				if ask.Purpose, ok = keepsFor(state, g.id, purpose); !ok {
					continue
				}
			}
		} else if patient != p.actor {
			continue
		}
		var high []abaton.Line
		for line, category := range g.lines {
			if state.Level(line) >= grant.Shielded {
				high, out.shielded[line] = append(high, line), true
			} else {
				ask.Lines = append(ask.Lines, line)
			}
			if c, ok := fhir.CategoryByID(category); ok {
				out.categories[line] = c
			}
		}
		if len(ask.Lines) > 0 {
			slices.SortFunc(ask.Lines, func(a, b abaton.Line) int { return slices.Compare(a[:], b[:]) })
			out.asks = append(out.asks, ask)
		}
		if raised, ok := h.raise(ask, high, now); ok {
			out.asks = append(out.asks, raised)
		} else {
			out.withheld = out.withheld || len(high) > 0
		}
	}
	out.dropCopies()
	out.takes(way)
	switch {
	case len(out.asks) > 0:
		return out, nil
	case out.withheld:
		return nil, abaton.Refuse(abaton.ReasonStepUp)
	}
	return nil, abaton.ErrNotFound
}

// keepsFor is the purpose to ask with for a record in a care team's custody,
// which stands in the place of a grant. False when it does not serve.
func keepsFor(state *actor.State, id abaton.GrantID, wanted abaton.Purpose) (abaton.Purpose, bool) {
	e, ended := state.Escrow(id)
	if e == nil || ended || e.Kind != actor.EscrowCustody {
		return "", false
	}
	if wanted == "" {
		wanted = abaton.Treatment
	}
	return wanted, wanted == abaton.Treatment || wanted == abaton.Operations
}

// purposeOf is the purpose to ask with: the one wanted, or without one the
// first usual one that the grant allows. False when the grant does not serve.
func purposeOf(g *grant.Grant, revoked bool, wanted abaton.Purpose, now time.Time) (abaton.Purpose, bool) {
	if g == nil || revoked || g.Actions&grant.Read == 0 || now.Unix() < g.NotBefore || now.Unix() >= g.Expires {
		return "", false
	}
	if wanted != "" {
		return wanted, slices.Contains(g.Purposes, wanted)
	}
	for _, usual := range []abaton.Purpose{abaton.Treatment, abaton.PatientAccess, abaton.Operations} {
		if slices.Contains(g.Purposes, usual) {
			return usual, true
		}
	}
	return g.Purposes[0], true
}
