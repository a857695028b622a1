// Package gateway serves FHIR R4 over sealed records. It is a reader and a
// writer at the clinic with what its people's devices lend it, never a bypass:
// whoever signs in gives it the seeds of their grants for one session, in
// memory only, and every opening still takes three keepers that write it to
// their ledgers first.
//
//	g, err := gateway.New(gateway.Config{...})
//	defer g.Close()
//	http.Serve(listener, g)
//
// Sign-in is docs/protocol/gateway.md. It does not protect what is in its
// memory while people work: whoever owns the running process reads what they
// read. Its disk holds only sealed batches on their way to the keepers.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/attest"
	"github.com/abaton-health/abaton/internal/deliver"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
	"github.com/abaton-health/abaton/internal/fhir/validate"
	"github.com/abaton-health/abaton/internal/gateway/feed"
	"github.com/abaton-health/abaton/internal/smart"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/spread"
)

// Config says whose gateway it is and which keepers it uses. Every field but
// Release, URL, Apps, the rates, Notify, Observe, Log and Now is needed.
type Config struct {
	Set       *actor.Set                           // verified and pinned by the caller
	Keepers   map[abaton.KeeperIndex]client.Keeper // one for each keeper of Set
	Org       abaton.ActorID                       // the organisation
	Writer    *key.Signing                         // this process's writer key in the organisation's log
	OrgBox    *key.Box                             // opens deposit grants' maps of category to line; no seed to read with
	Outbox    string                               // folder for sealed batches on their way
	OutboxKey key.Secret                           // seals that folder
	IDKey     key.Secret                           // makes FHIR ids; the same in all gateways of the organisation
	Validate  Validation                           // of writes; zero stores what clients send
	Release   string                               // this software's version, for /metadata
	URL       string                               // where apps reach it, without a slash at the end; needed with Apps
	Apps      func() *smart.Registry               // the apps registered now; nil serves none
	PerPerson Rate                                 // requests of one session; zero is DefaultPerPerson
	PerOrigin Rate                                 // requests without a session from one address; zero is DefaultPerOrigin
	Notify    []string                             // origins that subscriptions may notify (deliver.CheckOrigin); none by default
	Observe   func(Observed)                       // told of each request, at once and from its goroutine; nil tells nobody
	Log       *slog.Logger                         // nil discards
	Now       func() time.Time                     // nil is time.Now

	Authenticators attest.Policy // of clinicians; zero takes none
	Wraps          string        // folder for roots wrapped by passkeys; empty: nobody enrols here
	Uploads        string        // folder for the sealed state of large uploads; empty: they cannot be resumed
	ObjectBytesMax int64         // the largest object, in bytes; zero is 8 GiB
	Relations      string        // folder for what keepers are told of who treats whom; empty: they are told nothing
	Duty           DutyCharts    // where copies that must be kept go; nil: none are made
}

// Gateway serves FHIR. It is an http.Handler; safe for concurrent use.
type Gateway struct {
	org           abaton.ActorID
	set           *actor.Set
	network       *client.Network
	outbox        *client.Outbox
	writer        *client.Writer
	writerID      abaton.KeyID
	orgBox        *key.Box
	duty          DutyCharts
	feed          *feed.Feed // nil: nothing is told
	ids           ids
	log           *slog.Logger
	clock         func() time.Time
	table         *table
	counters      *counters
	metadata      []byte
	marks         pager // seals page links of histories
	subscriptions subscriptions
	notifyOrigins []string
	notifier      *http.Client
	pace          pace
	release       string
	reached       reached
	listen        func(Observed)
	rates         struct{ person, origin Rate }
	origins       addresses
	space         *search.Space // of all indexes in memory

	validation Validation
	checker    func() (*validate.Validator, error)

	sessions  accesses
	apps      *appDesk
	offers    offers
	deposits  deposits
	locks     locks
	bodies    *semaphore.Weighted
	streams   streams
	objectMax int64
	uploads   *uploads
	wraps     *wraps
	pleas     *pleas
	pauses    pauses
	url       string // where people's browsers reach this gateway; empty: as they asked

	authenticators attest.Policy
	signing        *key.Signing // the writer key: it also invites

	jobs    jobs
	halt    chan struct{} // closed first of all in Close: ends work that outlives its request
	working sync.WaitGroup

	flight  sync.WaitGroup
	closing chan struct{}
	once    sync.Once
	sweeper sync.WaitGroup
	closed  sync.RWMutex // held while a request is let in
	ended   bool
}

// New checks the configuration, opens the outbox and goes on with what it
// holds. Errors name the field.
func New(c Config) (*Gateway, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	sealed, err := sealTable(routes())
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g := &Gateway{org: c.Org, set: c.Set, writerID: c.Writer.ID(), orgBox: c.OrgBox, ids: ids{c.IDKey},
		log: c.Log, clock: c.Now, table: sealed, counters: newCounters(), bodies: semaphore.NewWeighted(bodiesMax),
		closing: make(chan struct{}), marks: newPager(newPagerSecret()), space: search.NewSpace(), validation: c.Validate, checker: checker(), objectMax: cmp.Or(c.ObjectBytesMax, objectBytesMax)}
	g.halt = make(chan struct{})
	g.jobs.by = make(map[string]*job)
	g.subscriptions.by, g.notifyOrigins, g.notifier, g.pace = make(map[string]*subscription), c.Notify, deliver.NewClient(deliver.Inside, nil), usualPace()
	g.origins.by = make(map[netip.Prefix]*bucket)
	g.authenticators, g.signing, g.duty = c.Authenticators, c.Writer, c.Duty
	g.release, g.listen = c.Release, c.Observe
	g.rates.person, g.rates.origin = cmp.Or(c.PerPerson, DefaultPerPerson()), cmp.Or(c.PerOrigin, DefaultPerOrigin())
	g.sessions.by = make(map[[32]byte]*person)
	g.offers.by = make(map[string]*offered)
	g.deposits.by = make(map[abaton.GrantID]map[fhir.Category]abaton.Line)
	g.locks.held = make(map[abaton.ActorID]*lockEntry)
	g.pauses.by, g.url = make(map[string]*pause), c.URL
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.clock == nil {
		g.clock = time.Now
	}
	if g.apps, err = newAppDesk(c); err != nil {
		return nil, err
	}
	g.metadata = capability(c.Release, g.clock(), g.apps.endpoints())
	if err := g.openWraps(c); err != nil {
		return nil, err
	}
	if err := g.openPleas(c); err != nil {
		return nil, err
	}
	if err := g.openUploads(c); err != nil {
		return nil, err
	}
	if err := g.connect(c); err != nil {
		return nil, err
	}
	if err := g.openFeed(c); err != nil {
		g.network.Close()
		return nil, errors.Join(fmt.Errorf("gateway: %w", err), g.outbox.Close())
	}
	g.sweeper.Go(g.sweep)
	return g, nil
}

func (c *Config) check() error {
	switch {
	case c.Set == nil:
		return errors.New("gateway: Set is missing")
	case c.Org == (abaton.ActorID{}):
		return errors.New("gateway: Org is missing")
	case c.Writer == nil:
		return errors.New("gateway: Writer is missing")
	case c.OrgBox == nil:
		return errors.New("gateway: OrgBox is missing")
	case c.Outbox == "" || c.OutboxKey.IsZero():
		return errors.New("gateway: Outbox or OutboxKey is missing")
	case c.Validate > ValidateRefuse:
		return errors.New("gateway: Validate is none of its values")
	case c.ObjectBytesMax < 0:
		return errors.New("gateway: ObjectBytesMax is negative")
	case c.IDKey.IsZero():
		return errors.New("gateway: IDKey is missing")
	case slices.ContainsFunc(c.Notify, func(origin string) bool { return !deliver.CheckOrigin(origin) }):
		return errors.New("gateway: Notify holds what is no https origin")
	case c.PerPerson != (Rate{}) && !c.PerPerson.valid() || c.PerOrigin != (Rate{}) && !c.PerOrigin.valid():
		return errors.New("gateway: PerPerson or PerOrigin lets nothing through")
	}
	return nil
}

// connect starts the client and the writer.
func (g *Gateway) connect(c Config) (err error) {
	g.network, err = client.New(client.Config{Set: c.Set, Keepers: c.Keepers, Asker: c.Writer, Log: g.log, Now: c.Now})
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if g.outbox, err = client.OpenOutbox(c.Outbox, c.OutboxKey); err != nil {
		g.network.Close()
		return fmt.Errorf("gateway: %w", err)
	}
	g.writer, err = g.network.NewWriter(client.WriterConfig{Outbox: g.outbox, Writer: c.Writer,
		Author: seal.Author{Actor: c.Org, Key: c.Writer}, Gather: client.GatherMost})
	if err != nil {
		g.network.Close()
		return errors.Join(fmt.Errorf("gateway: %w", err), g.outbox.Close())
	}
	return nil
}

// Close lets no request in any more, waits for those in flight, ends all
// sessions and stops all work. What is in the outbox stays there.
func (g *Gateway) Close() error {
	var err error
	g.once.Do(func() {
		g.closed.Lock()
		g.ended = true
		g.closed.Unlock()
		close(g.halt)
		g.streams.stop()
		g.flight.Wait()
		g.working.Wait()
		g.notifier.CloseIdleConnections()
		close(g.closing)
		g.sweeper.Wait()
		g.sessions.sweep(g.now(), true)
		g.offers.sweep(g.now(), true)
		g.sweepApps(true)
		if g.feed != nil {
			err = g.feed.Close()
		}
		g.network.Close()
		err = errors.Join(err, g.outbox.Close())
	})
	return err
}

func (g *Gateway) now() time.Time { return g.clock() }

// sweep drops what has expired, even if nobody asks for it.
func (g *Gateway) sweep() {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g.sessions.sweep(g.now(), false)
			g.offers.sweep(g.now(), false)
			g.sweepApps(false)
			g.pauses.sweep(g.now())
			g.jobs.sweep(g.now(), false)
			g.subscriptions.sweep(g.now())
			g.uploads.sweep(g.now())
		case <-g.closing:
			return
		}
	}
}

// enter counts a request in; false when the gateway is closing.
func (g *Gateway) enter() bool {
	g.closed.RLock()
	defer g.closed.RUnlock()
	if g.ended {
		return false
	}
	g.flight.Add(1)
	return true
}

// noteFaults tells operators which party a proof names. Proofs hold no
// patient fact; the keepers and the watch keep them.
func (g *Gateway) noteFaults(ctx context.Context, faults []client.Fault) {
	for _, f := range faults {
		party := partyName(f.Party)
		g.counters.fault(party)
		g.log.WarnContext(ctx, "fault proved", "party", party, "keeper", int(f.Keeper), "reason", string(f.Reason))
	}
}

func partyName(p spread.Party) string {
	switch p {
	case spread.KeeperParty:
		return "keeper"
	case spread.WriterParty:
		return "writer"
	case spread.LockerParty:
		return "locker"
	}
	return "unknown"
}

var _ http.Handler = (*Gateway)(nil)
