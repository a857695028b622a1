package intake

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway"
	"github.com/abaton-health/abaton/internal/hl7"
)

// house stands in for a gateway's session. It keeps what it is given and
// misbehaves when told to.
type house struct {
	mu       sync.Mutex
	patients map[string]abaton.ActorID // by record number
	born     string
	filed    [][]byte // Bundles, in order
	aside    []gateway.Aside
	known    map[string]bool // fullUrls
	calls    int             // of Transact
	finds    int

	away     bool                      // there is no session
	filing   func(bundle []byte) error // what Transact says of a Bundle
	asiding  error
	pending  bool // what is written lies in the outbox
	settled  bool
	refused  abaton.Reason
	gate     chan struct{} // Transact waits until it is closed
	finding  error
	resolved int
}

func newHouse() *house {
	return &house{patients: map[string]abaton.ActorID{"m1": {1}, "m2": {2}}, born: "1980-01-02", known: make(map[string]bool)}
}

func (h *house) session() (Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away {
		return nil, abaton.ErrNotFound
	}
	return h, nil
}

func (h *house) Settled(...abaton.BatchName) (bool, abaton.Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.settled, h.refused
}

func (h *house) FindPatient(_ context.Context, codes []fhir.Code) (abaton.ActorID, string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.finds++
	if h.finding != nil {
		return abaton.ActorID{}, "", h.finding
	}
	if id, ok := h.patients[codes[0].Value]; ok {
		return id, h.born, nil
	}
	return abaton.ActorID{}, "", abaton.ErrNotFound
}

func (h *house) Known(_ context.Context, _ abaton.ActorID, _, fullURL string) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[fullURL], nil
}

func (h *house) Changed(abaton.ActorID) {}

func (h *house) Transact(ctx context.Context, _ abaton.ActorID, bundles ...[]byte) (*gateway.Transacted, error) {
	h.mu.Lock()
	gate := h.gate
	h.calls++
	h.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range bundles {
		if h.filing != nil {
			if err := h.filing(b); err != nil {
				return nil, err
			}
		}
	}
	for _, b := range bundles {
		h.filed = append(h.filed, b)
		if parsed, err := fhir.ParseBundle(b); err == nil {
			h.known[parsed.Entries[len(parsed.Entries)-1].FullURL] = true
		}
	}
	return h.written(), nil
}

func (h *house) SetAside(_ context.Context, all ...gateway.Aside) (*gateway.Transacted, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asiding != nil {
		return nil, h.asiding
	}
	for _, a := range all {
		if a.Resolved {
			h.resolved++
		} else {
			h.aside = append(h.aside, a)
		}
	}
	return h.written(), nil
}

func (h *house) written() *gateway.Transacted {
	return &gateway.Transacted{Pending: h.pending, Batches: []abaton.BatchName{sha256.Sum256(nil)}}
}

func (h *house) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// counts are how many Bundles are filed and messages set aside.
func (h *house) counts() (filed, aside, calls int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.filed), len(h.aside), h.calls
}

func newIntake(t *testing.T, h *house) *Intake {
	t.Helper()
	in, err := New(Config{Session: h.session, Settled: h.Settled, Systems: map[string]string{"HOSP": "http://mrn.example"}})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// sending is a sender's end of a connection.
type sending struct {
	t      *testing.T
	conn   net.Conn
	frames *hl7.Frames
	gone   sync.WaitGroup
}

// connect connects a sender; it hangs up at the end of the test.
func connect(t *testing.T, in *Intake) *sending {
	t.Helper()
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	s := &sending{t: t, conn: ours, frames: hl7.NewFrames(ours)}
	s.gone.Go(func() { in.converse(ctx, theirs) })
	t.Cleanup(func() {
		ours.Close()
		cancel()
		s.gone.Wait()
		in.work.Wait()
	})
	return s
}

func (s *sending) send(raw string) {
	s.t.Helper()
	if err := hl7.WriteFrame(s.conn, []byte(raw)); err != nil {
		s.t.Fatal(err)
	}
}

// wants reads an answer: its code and reason, to which message.
func (s *sending) wants(control, code, reason string) {
	s.t.Helper()
	raw, err := s.frames.Next()
	if err != nil {
		s.t.Fatalf("read answer: %v", err)
	}
	m, err := hl7.Parse(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := fmt.Sprint(hl7.Answers(m), " ", m.First("MSA").Field(1).Text(), " ", m.First("ERR").Field(5).Text()); got != control+" "+code+" "+reason {
		s.t.Errorf("answer: got %q, want %q", got, control+" "+code+" "+reason)
	}
}

// result is an ORU about a patient.
func result(control, number string) string {
	return strings.Join([]string{
		`MSH|^~\&|LAB|HOSP|A|B|20260101||ORU^R01|` + control + `|P|2.5.1`, `PID|1||` + number + `^^^HOSP||X||19800102`,
		`OBR|1|P|F` + control + `|c^n^L`, `OBX|1|NM|1^a^L||5`}, "\r")
}
