// Package intake takes in what legacy systems send: HL7 version 2 messages
// over MLLP. Each is mapped to FHIR, written through the gateway under a
// service's session, and acknowledged once four keepers have it; what cannot
// be filed is set aside, sealed, and acknowledged once that is durable.
//
//	in, err := intake.New(intake.Config{Session: ..., Settled: g.Settled, Ready: ...})
//	err = in.Serve(ctx, listener) // until ctx ends and what is in hand is answered
//
// It does not know who sends: MLLP has no names. Listen on loopback, or with
// TLS and client certificates. Nothing of a message is written to disk here
// but what the gateway's outbox seals; nothing of it is logged.
package intake

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway"
)

// Finder says whose a message is; *gateway.Service is one. Safe for
// concurrent use.
type Finder interface {
	// FindPatient is the one patient who has one of the identifiers:
	// abaton.ErrNotFound, gateway.ErrSeveral; other errors may pass.
	FindPatient(ctx context.Context, codes []fhir.Code) (patient abaton.ActorID, birth string, err error)
	// Known reports whether a transaction wrote this resource before.
	Known(ctx context.Context, patient abaton.ActorID, kind, fullURL string) (bool, error)
	// Changed says that a patient's identifiers may have changed.
	Changed(patient abaton.ActorID)
}

// Filer writes; *gateway.Service is one. What it returns without Pending is
// durable at the write quorum. The same again has no second effect.
type Filer interface {
	Transact(ctx context.Context, patient abaton.ActorID, bundles ...[]byte) (*gateway.Transacted, error)
	SetAside(ctx context.Context, all ...gateway.Aside) (*gateway.Transacted, error)
}

// Session is a service's live session.
type Session interface {
	Finder
	Filer
}

// Config says where messages go. Session and Settled are needed.
type Config struct {
	// Session is the service's session now; an error means that there is
	// none, and every message is deferred.
	Session func() (Session, error)
	// Settled tells how batches stand that were pending.
	Settled func(batches ...abaton.BatchName) (durable bool, refused abaton.Reason)
	// Ready reports whether what an earlier process left in the outbox is at
	// the write quorum; until then nobody is let in. Nil is always.
	Ready func() bool
	// Zone is the senders', for timestamps that name none; nil is UTC.
	Zone *time.Location
	// Systems gives the FHIR identifier system of assigning authorities'
	// namespace ids.
	Systems map[string]string
	// Log takes what operators should know; nil discards.
	Log *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Intake takes messages in. Safe for concurrent use.
type Intake struct {
	c        Config
	counters *counters
	bytes    *semaphore.Weighted // of messages in hand

	mu        sync.Mutex
	lanes     map[abaton.ActorID]*lane // one for each patient with messages waiting; the zero actor's is the quarantine's
	unsettled map[[32]byte][]abaton.BatchName
	work      sync.WaitGroup
}

// New checks the configuration; errors name the field.
func New(c Config) (*Intake, error) {
	switch {
	case c.Session == nil:
		return nil, errors.New("intake: Session is missing")
	case c.Settled == nil:
		return nil, errors.New("intake: Settled is missing")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	return &Intake{c: c, counters: newCounters(), bytes: semaphore.NewWeighted(heldBytesMax),
		lanes: make(map[abaton.ActorID]*lane), unsettled: make(map[[32]byte][]abaton.BatchName)}, nil
}
