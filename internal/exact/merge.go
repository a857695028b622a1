package exact

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/ledger"
)

// Limits of a merge's memory.
const (
	// shelves is into how many files entries are sorted, by a byte of the
	// patient's name.
	shelves = 256
	// shelfBytesMax is the largest file that is read whole; a larger one is sorted
	// by the next byte.
	shelfBytesMax = 32 << 20
	// shelfBuffer is what each file being written holds in memory.
	shelfBuffer = 16 << 10
)

// About is what a merge tells of one patient: all entries about this one, by keeper
// and index, and their sum. Both are valid until it returns.
type About func(entries []ledger.Placed, p *ledger.TouchedPatient) error

// Merge verifies every page and tells each patient in the order of their names. The
// result says who counts and how complete the list is; its Patients are empty.
func (s *Spool) Merge(ctx context.Context, about About) (*ledger.Touched, error) {
	tmp, err := os.MkdirTemp(s.dir, "merging-")
	if err != nil {
		return nil, fmt.Errorf("merge answers: %w", err)
	}
	m := &merge{ctx: ctx, s: s, survey: ledger.NewSurvey(s.asked.Look, s.trust.Shape), about: about}
	err = m.run(tmp)
	if err = errors.Join(err, os.RemoveAll(tmp)); err != nil {
		return nil, fmt.Errorf("merge answers: %w", err)
	}
	return m.touched, nil
}

// merge is a Merge under way.
type merge struct {
	ctx     context.Context
	s       *Spool
	survey  *ledger.Survey
	about   About
	touched *ledger.Touched
}

func (m *merge) run(tmp string) error {
	for _, f := range m.s.faults {
		m.survey.Fault(f.keeper, f.check, f.at)
	}
	root := &rack{dir: tmp}
	for x := abaton.KeeperIndex(1); int(x) <= m.s.trust.Shape.Keepers; x++ {
		if err := m.sift(x, root); err != nil {
			return errors.Join(fmt.Errorf("keeper %d: %w", x, err), root.close())
		}
	}
	if err := root.close(); err != nil {
		return err
	}
	// Twice: who counts is known only when all was looked at, and what is in doubt
	// about one patient depends on it.
	if err := m.rack(root, func(entries []ledger.Placed) error {
		m.survey.Check(entries)
		return nil
	}); err != nil {
		return err
	}
	m.touched = m.survey.Touched()
	return m.rack(root, func(entries []ledger.Placed) error {
		p := m.survey.Patient(entries, m.touched.Answered)
		return m.about(entries, &p)
	})
}

// sift verifies one keeper's pages and sorts what they hold.
func (m *merge) sift(x abaton.KeeperIndex, into *rack) error {
	k, b := m.s.trust.Keepers[x], m.s.books[x]
	if b == nil {
		return nil
	}
	v, err := ledger.NewVerifier(k.Origin, k.Key)
	if err != nil {
		return fmt.Errorf("keeper's key: %w", err)
	}
	err = b.walk(func(h head, body []byte) error {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		return m.page(x, h, body, k, v, into)
	})
	if _, faulty := errors.AsType[*ledger.WithheldError](err); faulty {
		return nil // the survey has noted it
	}
	if err == nil && b.told {
		m.survey.Done(x, k.Since)
	}
	return err
}

func (m *merge) page(x abaton.KeeperIndex, h head, body []byte, k report.Keeper, v note.Verifier, into *rack) error {
	found, err := parsePage(body, h.next)
	if err != nil || found.Verify(k.Origin, v) != nil {
		m.survey.Fault(x, "proof", 0)
		return &ledger.WithheldError{Keeper: x, Check: "proof"}
	}
	return m.survey.Sift(x, found, into.put)
}

// rack sorts entries into files by one byte of the patient's name.
type rack struct {
	dir   string
	depth int
	files [shelves]*os.File
	bufs  [shelves]*bufio.Writer
	sizes [shelves]int64
}

func (r *rack) path(i int) string { return filepath.Join(r.dir, fmt.Sprintf("%02x", i)) }

// put adds one entry: patient, index, leaf, length, entry.
func (r *rack) put(p *ledger.Placed) error {
	b := make([]byte, 0, shelfHead+len(p.Raw))
	b = append(b, p.Entry.Patient[:]...)
	b = binary.BigEndian.AppendUint64(b, p.Index)
	b = append(b, p.Leaf[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.Raw)))
	return r.putRecord(append(b, p.Raw...))
}

const shelfHead = 32 + 8 + 32 + 4

func (r *rack) putRecord(record []byte) error {
	i := int(record[r.depth])
	if r.files[i] == nil {
		f, err := os.OpenFile(r.path(i), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		r.files[i], r.bufs[i] = f, bufio.NewWriterSize(f, shelfBuffer)
	}
	r.sizes[i] += int64(len(record))
	_, err := r.bufs[i].Write(record)
	return err
}

func (r *rack) close() error {
	var all []error
	for i, f := range r.files {
		if f != nil {
			all = append(all, r.bufs[i].Flush(), f.Close())
			r.bufs[i] = nil
		}
	}
	return errors.Join(all...)
}

// rack hands the entries about each patient to each, ascending by name.
func (m *merge) rack(r *rack, each func([]ledger.Placed) error) error {
	for i := range shelves {
		if r.sizes[i] == 0 {
			continue
		}
		if err := m.ctx.Err(); err != nil {
			return err
		}
		if err := m.shelf(r, i, each); err != nil {
			return err
		}
	}
	return nil
}

func (m *merge) shelf(r *rack, i int, each func([]ledger.Placed) error) error {
	if r.sizes[i] > m.s.shelf && r.depth+1 < len(abaton.ActorID{}) {
		return m.deeper(r, i, each)
	}
	raw, err := os.ReadFile(r.path(i))
	if err != nil {
		return err
	}
	type place struct {
		patient  abaton.ActorID
		from, to int
	}
	var all []place
	for at := 0; at < len(raw); {
		n, err := recordLength(raw[at:])
		if err != nil {
			return err
		}
		if at+n > len(raw) {
			return errPage
		}
		all = append(all, place{abaton.ActorID(raw[at:]), at, at + n})
		at += n
	}
	// Stable: of one patient they stand by keeper, then index.
	slices.SortStableFunc(all, func(a, b place) int { return bytes.Compare(a.patient[:], b.patient[:]) })
	var about []ledger.Placed
	for from, to := 0, 0; from < len(all); from = to {
		about = about[:0]
		for to = from; to < len(all) && all[to].patient == all[from].patient; to++ {
			p, err := parseRecord(raw[all[to].from:all[to].to])
			if err != nil {
				return err
			}
			about = append(about, p)
		}
		if err := each(about); err != nil {
			return err
		}
	}
	return nil
}

// deeper sorts a file that is too large for memory by the next byte.
func (m *merge) deeper(r *rack, i int, each func([]ledger.Placed) error) error {
	next := &rack{dir: r.path(i) + "-", depth: r.depth + 1}
	f, err := os.Open(r.path(i))
	if err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(next.dir, 0o700), next.sort(f), f.Close(), next.close()); err != nil {
		return err
	}
	return errors.Join(m.rack(next, each), os.RemoveAll(next.dir))
}

// sort puts every record of a file.
func (r *rack) sort(from io.Reader) error {
	in := bufio.NewReaderSize(from, 1<<20)
	for {
		h, err := in.Peek(shelfHead)
		if len(h) == 0 {
			return endOf(err)
		}
		n, err := recordLength(h)
		if err != nil {
			return err
		}
		record := make([]byte, n)
		if _, err := io.ReadFull(in, record); err != nil {
			return err
		}
		if err := r.putRecord(record); err != nil {
			return err
		}
	}
}

// recordLength is how long the record at the beginning of b is.
func recordLength(b []byte) (int, error) {
	if len(b) < shelfHead {
		return 0, errPage
	}
	n := binary.BigEndian.Uint32(b[shelfHead-4:])
	if n > ledger.EntryBytesMax {
		return 0, errPage
	}
	return shelfHead + int(n), nil
}

func parseRecord(b []byte) (p ledger.Placed, err error) {
	p.Index, p.Leaf, p.Raw = binary.BigEndian.Uint64(b[32:]), ledger.Leaf(b[40:72]), b[shelfHead:]
	p.Entry, err = ledger.ParseEntry(p.Raw)
	return p, err
}
