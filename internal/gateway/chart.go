package gateway

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/seal"
)

// chart is one patient's record, or the organisation's directory, as one
// session may read it, decrypted and in memory only. It is read for a lease;
// then the keepers are asked again.
type chart struct {
	patient abaton.ActorID
	purpose abaton.Purpose // as the caller wanted it; empty for the usual one

	renewing sync.Mutex // one load or renewal at a time

	space *search.Space
	part  *part // of a chart that is opened for some types only; nil for the whole

	mu         sync.RWMutex
	index      fhir.Chart
	found      *search.Index // of what index reads
	loaded     bool
	asks       []client.Ask
	categories map[abaton.Line]fhir.Category
	shielded   map[abaton.Line]bool
	apart      map[string]bool                             // Type/id that was ever in a shielded line
	rows       map[abaton.Line]map[abaton.BatchName]uint64 // what was opened, to be renewed
	seen       map[abaton.BatchName]uint64                 // batches known here, and what was gone of them
	strictest  map[string]fhir.Category                    // Type/id -> the most sensitive line it was ever in
	mapped     map[string]abaton.ActorID                   // of a directory: FHIR patient id -> patient
	leased     time.Time                                   // when the keepers last permitted all of it
	bytes      int                                         // of records
	weight     atomic.Int64                                // bytes in memory, the index too
	partial    bool                                        // some records could not be opened now: what is not here may exist
	withheld   bool                                        // a part needs step-up and was not opened
	referred   []fhir.Ref                                  // what its resources refer to; nil until asked for
	size       int                                         // versions when referred was made
	limits     *limits                                     // of an app; nil shows all
	whole      fhir.Chart                                  // with limits: all that is open, and index what an app may search
	origins    map[string]origin                           // by versionId
	opened     time.Time                                   // when it was first read
	told       *ledger.History                             // of the patient's own session: what the ledgers said at toldAt
	toldAt     time.Time
	aside      string                  // of computed resources: what Warning says beside them
	objects    map[string]*largeObject // of versions that are large objects, by versionId
	tied       []tie                   // of a directory: its links between Patients
	tiedAt     int                     // bytes+1 when tied was made; 0 before
}

// newChart is an empty chart: of the whole record, or of a part; limited to
// what an app may see, or not.
func (g *Gateway) newChart(patient abaton.ActorID, purpose abaton.Purpose, of *part, to *limits) *chart {
	c := &chart{patient: patient, purpose: purpose, space: g.space, part: of, limits: to}
	c.reset()
	return c
}

func (c *chart) reset() {
	c.found = c.space.NewIndex()
	c.index, c.whole = fhir.Chart{Indexer: c.found}, fhir.Chart{}
	c.loaded, c.bytes, c.partial = false, 0, false
	c.rows = make(map[abaton.Line]map[abaton.BatchName]uint64)
	c.seen = make(map[abaton.BatchName]uint64)
	c.strictest, c.apart = make(map[string]fhir.Category), make(map[string]bool)
	c.mapped = make(map[string]abaton.ActorID)
	c.objects = make(map[string]*largeObject)
	c.referred, c.size = nil, 0
	c.tied, c.tiedAt = nil, 0
	c.origins, c.opened = make(map[string]origin), time.Time{}
}

// expire makes the next use ask the keepers.
func (c *chart) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leased = time.Time{}
}

func (c *chart) ready(now time.Time) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.loaded && !c.over(now) && (c.part == nil || len(c.part.wanted) == 0)
}

// over reports whether the lease has ended, or begins later than now: a clock
// set back gives no longer lease. Callers hold mu.
func (c *chart) over(now time.Time) bool {
	return now.Before(c.leased) || now.Sub(c.leased) >= lease
}

// chartOf is a patient's chart, opened or renewed as needed. With fresh the
// keepers are asked for news whatever the lease says. Any refusal drops it.
func (g *Gateway) chartOf(ctx context.Context, p *person, patient abaton.ActorID, purpose abaton.Purpose, fresh bool) (*chart, error) {
	c, err := g.slot(p, patient, purpose)
	if err != nil {
		return nil, err
	}
	return c, g.opened(ctx, p, c, fresh)
}

// opened opens or renews a chart as needed.
func (g *Gateway) opened(ctx context.Context, p *person, c *chart, fresh bool) error {
	if !fresh && c.ready(g.now()) {
		return nil
	}
	c.renewing.Lock()
	defer c.renewing.Unlock()
	if !fresh && c.ready(g.now()) {
		return nil
	}
	c.widen()
	if err := g.renew(ctx, p, c); err != nil {
		p.drop(c.patient)
		return c.heldBack(err)
	}
	c.widened()
	g.makeRoom(p, c.patient)
	return nil
}

// slot is the session's chart of a patient, empty if it was not open.
func (g *Gateway) slot(p *person, patient abaton.ActorID, purpose abaton.Purpose) (*chart, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[patient]
	if h == nil || p.closed {
		return nil, abaton.ErrNotFound
	}
	if h.chart == nil || purpose != "" && h.chart.purpose != purpose && patient != g.org {
		h.chart, h.part = g.newChart(patient, purpose, nil, p.limits), nil
	}
	h.used = g.now()
	return h.chart, nil
}

// makeRoom drops the charts used longest ago when the session has too many or
// too large ones. The one just opened stays, and so does the directory.
func (g *Gateway) makeRoom(p *person, keep abaton.ActorID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var oldest *held
		count, bytes := 0, 0
		for id, h := range p.held {
			if h.chart == nil || id == g.org {
				continue
			}
			count++
			bytes += h.chart.heldBytes()
			if id != keep && (oldest == nil || h.used.Before(oldest.used)) {
				oldest = h
			}
		}
		if oldest == nil || count <= chartsMax && bytes <= chartBytesMax {
			return
		}
		oldest.chart = nil
	}
}

// warning tells of a part that is not shown, "" when all that is granted is.
func (c *chart) warning() string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	switch {
	case c.aside != "":
		return c.aside
	case c.withheld:
		return withheldWarning
	case c.partial:
		return partialWarning
	}
	return ""
}

// heldBytes is about what the chart takes in memory.
func (c *chart) heldBytes() int { return int(c.weight.Load()) }

// renew brings a chart up to date: the first time everything is opened; later
// the keepers permit what is here, and only what is new is opened.
func (g *Gateway) renew(ctx context.Context, p *person, c *chart) error {
	lent, err := p.asks(ctx, g.network, c.patient, c.purpose, g.now())
	if err != nil {
		return err
	}
	if c.loaded && sameAsks(lent.asks, c.asks) {
		reload, err := g.permitted(ctx, p, c, lent.asks)
		if err != nil || !reload {
			return err
		}
	}
	opened, err := g.openAll(ctx, p, c, lent.asks)
	if err != nil {
		return fmt.Errorf("open chart: %w", err)
	}
	g.noteFaults(ctx, opened.Faults)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset()
	c.asks, c.categories, c.shielded, c.withheld = lent.asks, lent.categories, lent.shielded, lent.withheld
	return c.fill(opened, g.now())
}

func sameAsks(a, b []client.Ask) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Grant != b[i].Grant || a[i].Onward != b[i].Onward || a[i].Purpose != b[i].Purpose || len(a[i].Lines) != len(b[i].Lines) {
			return false
		}
	}
	return true
}

// permitted lists what lies at the keepers, opens what is not here, and, when
// the lease is over, has three of them permit again what is in memory. A list
// alone prolongs no lease. It reports whether the chart must be opened anew,
// for something of it was erased.
func (g *Gateway) permitted(ctx context.Context, p *person, c *chart, asks []client.Ask) (reload bool, err error) {
	now := g.now()
	c.mu.RLock()
	over, leased := c.over(now), c.leased
	c.mu.RUnlock()
	if over {
		leased = now
	}
	opened := new(client.Chart)
	for _, ask := range asks {
		if rows := c.rowsOf(ask); over && len(rows) > 0 {
			if err := p.reader.Permit(ctx, ask, rows...); err != nil {
				return false, fmt.Errorf("renew chart: %w", err)
			}
		}
		listing, err := p.reader.List(ctx, ask)
		if err != nil {
			return false, fmt.Errorf("list chart: %w", err)
		}
		batches, erased := c.news(listing)
		if erased {
			return true, nil
		}
		if err := g.openNews(ctx, p, c, ask, batches, c.rowsWidened(listing), opened); err != nil {
			return false, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return false, c.fill(opened, leased)
}

// openNews opens the batches of a listing that are not in the chart, and some
// more rows.
func (g *Gateway) openNews(ctx context.Context, p *person, c *chart, ask client.Ask, batches []client.Batch, more []client.Row, into *client.Chart) error {
	rows, err := g.rowsFor(ctx, p, c, ask, batches)
	if err != nil {
		return err
	}
	rows = append(rows, more...)
	into.Batches = append(into.Batches, batches...)
	if len(rows) == 0 {
		return nil
	}
	got, err := p.reader.Get(ctx, ask, rows...)
	if err != nil {
		return fmt.Errorf("open news: %w", err)
	}
	g.noteFaults(ctx, got.Faults)
	shown, hidden := client.Committed(c.withCommits(got.Records))
	into.Records = append(into.Records, shown...)
	into.Missing = append(into.Missing, got.Missing...)
	into.Hidden += hidden
	return nil
}

// news are the batches of a listing that are not in the chart; erased tells
// that records of one that is there are gone.
func (c *chart) news(l *client.Listing) (batches []client.Batch, erased bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, b := range l.Batches {
		gone, ok := c.seen[b.Name]
		if !ok {
			batches = append(batches, b)
		}
		erased = erased || ok && gone != b.Gone
	}
	return batches, erased
}

func (c *chart) rowsOf(ask client.Ask) (rows []client.Row) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, line := range ask.Lines {
		for batch, records := range c.rows[line] {
			rows = append(rows, client.Row{Batch: batch, Records: records})
		}
	}
	return rows
}

// fill takes in what was opened under a lease that began at leased. Callers
// hold mu.
func (c *chart) fill(opened *client.Chart, leased time.Time) error {
	c.see(opened)
	versions := make([]fhir.Version, 0, len(opened.Records))
	for i := range opened.Records {
		r := &opened.Records[i]
		c.note(r.Line, r.Name)
		switch r.Envelope.Kind {
		case seal.KindResource:
			versions = append(versions, versionOf(&r.Envelope, rankOf(r.Hour, r.Name), r.Content))
			c.remember(r.Line, r.Envelope.Type, r.Envelope.ID, len(r.Content))
			c.noteOrigin(r)
		case seal.KindObject:
			if v, ok := c.takeObject(&r.Envelope, rankOf(r.Hour, r.Name), r.Content); ok {
				versions = append(versions, v)
			}
		case seal.KindDirectory:
			c.mapPatient(&r.Envelope, r.Content)
		}
	}
	if err := c.add(versions); err != nil {
		return fmt.Errorf("index chart: %w", err)
	}
	for _, m := range opened.Missing {
		c.partial = c.partial || errors.Is(m.Err, abaton.ErrUnavailable)
	}
	c.weigh()
	if !c.loaded {
		c.opened = leased
	}
	c.loaded, c.leased = true, leased
	if c.partial { // opened anew at the next use
		c.leased, c.asks = time.Time{}, nil
	}
	return nil
}

// see notes which batches are here. Of a transaction that is not committed yet
// nothing is shown; its batches stay news until its commit record is among
// them.
func (c *chart) see(opened *client.Chart) {
	shown := make(map[abaton.BatchName]bool)
	for i := range opened.Records {
		shown[opened.Records[i].Name.Batch] = true
	}
	for _, b := range opened.Batches {
		if opened.Hidden == 0 || shown[b.Name] {
			c.seen[b.Name] = b.Gone
		}
	}
}

// note keeps the row of an opened record, for renewal.
func (c *chart) note(line abaton.Line, name abaton.RecordName) {
	rows := c.rows[line]
	if rows == nil {
		rows = make(map[abaton.BatchName]uint64)
		c.rows[line] = rows
	}
	rows[name.Batch] |= 1 << name.Index
}

func (c *chart) remember(line abaton.Line, kind, id string, size int) {
	at := kind + "/" + id
	c.strictest[at] = fhir.Stricter(c.strictest[at], c.categories[line])
	c.apart[at] = c.apart[at] || c.shielded[line]
	c.bytes += size
}

// mapPatient takes in an entry of the directory: whose chart a FHIR patient
// id is, and nothing finer (RULINGS 6).
func (c *chart) mapPatient(e *seal.Envelope, content []byte) {
	var patient abaton.ActorID
	if e.Type == "Patient" && fhir.IsID(e.ID) && len(content) == len(patient) {
		copy(patient[:], content)
		c.mapped[e.ID] = patient
	}
}

func versionOf(e *seal.Envelope, rank string, content []byte) fhir.Version {
	return fhir.Version{Type: e.Type, ID: e.ID, VersionID: e.VersionID, LastUpdated: time.UnixMilli(int64(e.LastUpdated)).UTC(),
		Parents: e.Parents, Deleted: e.Deleted, Rank: rank, Body: content}
}

// rankOf orders the heads of a fork: by hour, then by batch name (RULINGS 7).
func rankOf(hour uint32, name abaton.RecordName) string {
	return fmt.Sprintf("%08x%s%02x", hour, hex.EncodeToString(name.Batch[:]), name.Index)
}

// added takes in what this session wrote, so that it reads its own writes.
func (c *chart) added(changes []*change, written *client.Written) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		return nil
	}
	for _, batch := range written.Batches {
		if _, ok := c.seen[batch]; !ok {
			c.seen[batch] = 0
		}
	}
	var versions []fhir.Version
	for _, ch := range changes {
		name := written.Names[ch.at]
		c.note(ch.line, name)
		if ch.envelope.Kind == seal.KindDirectory {
			c.mapPatient(&ch.envelope, ch.content)
			continue
		}
		if ch.envelope.Kind == seal.KindObject {
			if v, ok := c.takeObject(&ch.envelope, rankOf(uint32(ch.envelope.LastUpdated/3_600_000), name), ch.content); ok {
				versions = append(versions, v)
			}
			continue
		}
		versions = append(versions, versionOf(&ch.envelope, rankOf(uint32(ch.envelope.LastUpdated/3_600_000), name), ch.content))
		c.remember(ch.line, ch.envelope.Type, ch.envelope.ID, len(ch.content))
	}
	defer c.weigh()
	return c.add(versions)
}

// weigh notes what the chart takes in memory now. Callers hold mu.
func (c *chart) weigh() { c.weight.Store(int64(c.bytes + c.found.Bytes())) }
