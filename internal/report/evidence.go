package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// Limits of one file. A list for more patients than fit goes out in several.
const (
	// FileBytesMax is the largest file that Verify reads.
	FileBytesMax = 512 << 20
	// EntriesMax is how many ledger entries one file may carry.
	EntriesMax = 1 << 18
)

// Evidence is what proves a file's numbers: ledger entries, and the checkpoints
// that their paths lead to.
type Evidence struct {
	Checkpoints []string `json:"checkpoints"` // signed notes
	Entries     []Proven `json:"entries"`     // ascending by keeper, then index
}

// Proven is one ledger entry with its proof (PROTOCOL.md#ledger-disclosure).
type Proven struct {
	ID         string   `json:"id"` // k, the keeper, -, the index: k3-128
	Keeper     uint8    `json:"keeper"`
	Index      uint64   `json:"index"`
	Checkpoint int      `json:"checkpoint"` // place in Checkpoints
	Leaf       []byte   `json:"leaf"`
	Salt       []byte   `json:"salt"`
	Entry      []byte   `json:"entry"`
	Path       [][]byte `json:"path"`
}

// Trust is whom a verifier believes: the keepers of a set, by their public keys.
type Trust struct {
	Keepers map[abaton.KeeperIndex]Keeper
	Shape   ledger.Shape
}

// Keeper is one keeper of a Trust.
type Keeper struct {
	Origin string       // its ledger's name
	Key    abaton.KeyID // signs its checkpoints
	Since  int64        // when its ledger followed a lost one; 0 for never
}

// Proofs gathers the pages of a look. The zero Proofs is ready; it is not safe
// for concurrent use (client.Network.Touched calls Add from one at a time).
type Proofs struct {
	points []string
	seen   map[string]int
	all    []held
	of     map[abaton.ActorID][]int // places in all, made when asked for
	own    []int
}

type held struct {
	proven  Proven
	patient abaton.ActorID
	request [32]byte
	own     bool
}

// entryID names an entry in files.
func entryID(x abaton.KeeperIndex, index uint64) string { return fmt.Sprintf("k%d-%d", x, index) }

// Add keeps one verified page.
func (p *Proofs) Add(x abaton.KeeperIndex, page *ledger.Found) {
	if len(page.Disclosures) == 0 {
		return
	}
	if p.seen == nil {
		p.seen = make(map[string]int)
	}
	point, known := p.seen[string(page.Checkpoint)]
	if !known {
		point = len(p.points)
		p.seen[string(page.Checkpoint)] = point
		p.points = append(p.points, string(page.Checkpoint))
	}
	for i := range page.Disclosures {
		d := &page.Disclosures[i]
		en, err := ledger.ParseEntry(d.Entry)
		if err != nil {
			continue // the survey has refused the page
		}
		h := held{patient: en.Patient, request: en.Request, own: en.Op == ledger.OpLook,
			proven: Proven{ID: entryID(x, d.Index), Keeper: uint8(x), Index: d.Index, Checkpoint: point,
				Leaf: d.Leaf[:], Salt: d.Salt[:], Entry: d.Entry, Path: [][]byte{}}}
		for _, hash := range d.Path {
			h.proven.Path = append(h.proven.Path, hash[:])
		}
		p.all, p.of = append(p.all, h), nil
	}
}

// byRequest are the names of the entries of each request, in order.
func (p *Proofs) byRequest() map[[32]byte][]string {
	p.sort()
	ids := make(map[[32]byte][]string)
	for i := range p.all {
		ids[p.all[i].request] = append(ids[p.all[i].request], p.all[i].proven.ID)
	}
	return ids
}

func (p *Proofs) sort() {
	slices.SortFunc(p.all, func(a, b held) int {
		return cmp.Or(cmp.Compare(a.proven.Keeper, b.proven.Keeper), cmp.Compare(a.proven.Index, b.proven.Index))
	})
}

// discount leaves out where keepers ledgered the question whose answer does not
// count: a file shows who counts by those entries.
func (p *Proofs) discount(faults []error) {
	p.of = nil
	for _, err := range faults {
		bad, is := errors.AsType[*ledger.WithheldError](err)
		if !is {
			continue
		}
		p.all = slices.DeleteFunc(p.all, func(h held) bool { return h.own && h.proven.Keeper == uint8(bad.Keeper) })
	}
}

// All is the evidence of everything that was told.
func (p *Proofs) All() Evidence {
	p.index()
	places := make([]int, len(p.all))
	for i := range places {
		places[i] = i
	}
	return p.those(places)
}

// Of is the evidence about one patient, with where the question was ledgered.
func (p *Proofs) Of(patient abaton.ActorID) Evidence {
	p.index()
	places := append(slices.Clone(p.own), p.of[patient]...)
	slices.Sort(places)
	return p.those(slices.Compact(places))
}

// index notes whose each entry is.
func (p *Proofs) index() {
	if p.of != nil {
		return
	}
	p.sort()
	p.of, p.own = make(map[abaton.ActorID][]int), nil
	for i := range p.all {
		if h := &p.all[i]; h.own {
			p.own = append(p.own, i)
		} else {
			p.of[h.patient] = append(p.of[h.patient], i)
		}
	}
}

func (p *Proofs) those(entries []int) Evidence {
	e := Evidence{Checkpoints: []string{}, Entries: []Proven{}}
	places := make(map[int]int)
	for _, i := range entries {
		proven := p.all[i].proven
		at, known := places[proven.Checkpoint]
		if !known {
			at = len(e.Checkpoints)
			places[proven.Checkpoint] = at
			e.Checkpoints = append(e.Checkpoints, p.points[proven.Checkpoint])
		}
		proven.Checkpoint = at
		e.Entries = append(e.Entries, proven)
	}
	return e
}

// HoldsError says what of a file does not hold, in words for people.
type HoldsError struct {
	What string
}

func (e *HoldsError) Error() string { return "does not hold: " + e.What }

func fails(format string, args ...any) error { return &HoldsError{What: fmt.Sprintf(format, args...)} }

// merge verifies every entry and merges them as the organisation did.
func (e *Evidence) merge(look *ledger.Look, t *Trust) (*ledger.Touched, *Proofs, error) {
	if len(e.Entries) > EntriesMax {
		return nil, nil, fails("more than %d entries", EntriesMax)
	}
	survey, proofs, used := ledger.NewSurvey(*look, t.Shape), new(Proofs), make(map[int]bool)
	for i, end := 0, 0; i < len(e.Entries); i = end {
		for end = i; end < len(e.Entries) && e.Entries[end].Keeper == e.Entries[i].Keeper && e.Entries[end].Checkpoint == e.Entries[i].Checkpoint; end++ {
		}
		x, at := abaton.KeeperIndex(e.Entries[i].Keeper), e.Entries[i].Checkpoint
		if at < 0 || at >= len(e.Checkpoints) {
			return nil, nil, fails("evidence %d names no checkpoint", i)
		}
		used[at] = true
		page, err := e.page(x, e.Checkpoints[at], e.Entries[i:end], t)
		if err != nil {
			return nil, nil, fails("evidence from %d on: %v", i, err)
		}
		if err := survey.Take(x, page); err != nil {
			return nil, nil, fails("evidence from %d on: %v", i, err)
		}
		proofs.Add(x, page)
	}
	if len(used) != len(e.Checkpoints) {
		return nil, nil, fails("a checkpoint that nothing leads to")
	}
	for x, k := range t.Keepers {
		survey.Done(x, k.Since)
	}
	return survey.Touched(), proofs, nil
}

var errForm = errors.New("not in its form")

// page are entries as a keeper told them, proven to be in its ledger.
func (*Evidence) page(x abaton.KeeperIndex, checkpoint string, entries []Proven, t *Trust) (*ledger.Found, error) {
	k, known := t.Keepers[x]
	if !known {
		return nil, errors.New("no such keeper")
	}
	f := &ledger.Found{Extract: ledger.Extract{Checkpoint: []byte(checkpoint)}}
	for i := range entries {
		d, err := entries[i].disclosure()
		if err != nil {
			return nil, err
		}
		f.Disclosures = append(f.Disclosures, d)
	}
	v, err := ledger.NewVerifier(k.Origin, k.Key)
	if err != nil {
		return nil, fmt.Errorf("keeper's key: %w", err)
	}
	return f, f.Extract.Verify(k.Origin, v)
}

func (p *Proven) disclosure() (ledger.Disclosure, error) {
	if p.ID != entryID(abaton.KeeperIndex(p.Keeper), p.Index) || len(p.Leaf) != len(ledger.Leaf{}) || len(p.Salt) != ledger.SaltSize || len(p.Path) > ledger.ProofLinesMax {
		return ledger.Disclosure{}, errForm
	}
	en, err := ledger.ParseEntry(p.Entry)
	if err != nil {
		return ledger.Disclosure{}, err
	}
	d := ledger.Disclosure{Index: p.Index, Seq: en.PatientSeq, Leaf: ledger.Leaf(p.Leaf), Salt: [ledger.SaltSize]byte(p.Salt), Entry: p.Entry}
	for _, hash := range p.Path {
		if len(hash) != tlog.HashSize {
			return ledger.Disclosure{}, errForm
		}
		d.Path = append(d.Path, tlog.Hash(hash))
	}
	return d, nil
}
