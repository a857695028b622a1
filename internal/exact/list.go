package exact

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/ledger"
)

// The files of a list, beside the answers it is made of.
const (
	patientsFile = "patients.jsonl" // a report.Patient a line, ascending by name
	totalsFile   = "list.json"      // Totals
)

// Totals are the sums of a list, and how complete it is. Every number is made from
// the answers beside it, and can be made again (Spool.Verify).
type Totals struct {
	V            int            `json:"v"`
	Question     string         `json:"question"` // SHA-256, as keepers ledgered it
	Organisation string         `json:"organisation"`
	People       report.People  `json:"people"`
	Records      report.Records `json:"records"`
	Directory    report.Records `json:"directory"` // the organisation's own records, which are no patient's
	First        int64          `json:"first"`     // unix seconds, of all requests about patients
	Last         int64          `json:"last"`
	Entries      uint64         `json:"entries"` // of keepers' ledgers
	Complete     string         `json:"complete"`
	Whole        bool           `json:"whole"`
	Keepers      []uint8        `json:"keepers"` // whose answers count
	Vouched      []uint8        `json:"vouched"` // whose ledgers show the question
	Faults       []string       `json:"faults"`  // why others do not count
	Gone         uint64         `json:"gone"`    // entries past retention: of whom, nobody can say
	Patients     string         `json:"patients_sha256"`
}

// ErrNotSo says that a list is not what its answers make.
var ErrNotSo = errors.New("the list is not what the keepers' answers make")

// Write makes the list of the answers and leaves it beside them.
func (s *Spool) Write(ctx context.Context) (*Totals, error) {
	path := filepath.Join(s.dir, patientsFile)
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write list: %w", err)
	}
	t, err := s.total(ctx, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return nil, fmt.Errorf("write list: %w", err)
	}
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write list: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(s.dir, totalsFile), append(b, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("write list: %w", err)
	}
	return t, nil
}

// Verify makes the list again and compares it, offline. ErrNotSo if a line or a
// number differs. That more than f keepers show the question in their ledgers is
// part of it; why a keeper failed that shows in no page is taken as it stands.
func (s *Spool) Verify(ctx context.Context) (*Totals, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, totalsFile))
	if err != nil {
		return nil, fmt.Errorf("verify list: %w", err)
	}
	said := new(Totals)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(said) != nil {
		return nil, fmt.Errorf("verify list: %w", ErrNotSo)
	}
	have, err := sumOfFile(filepath.Join(s.dir, patientsFile))
	if err != nil {
		return nil, fmt.Errorf("verify list: %w", err)
	}
	made, err := s.total(ctx, io.Discard)
	if err != nil {
		return nil, fmt.Errorf("verify list: %w", err)
	}
	made.Faults = said.Faults
	if made.Patients != have || !reflect.DeepEqual(made, said) {
		return nil, fmt.Errorf("verify list: %w", ErrNotSo)
	}
	if len(made.Vouched) <= s.trust.Shape.Faulty {
		return nil, fmt.Errorf("verify list: only %d keepers show who asked: %w", len(made.Vouched), ErrNotSo)
	}
	return made, nil
}

func sumOfFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, f.Close())
}

// total merges, and writes a line a patient.
func (s *Spool) total(ctx context.Context, into io.Writer) (*Totals, error) {
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(into, sum), 1<<20)
	lines := json.NewEncoder(w)
	var scope report.Scope
	t := &Totals{V: 1, Organisation: s.asked.Look.Organisation.String(), Keepers: []uint8{}, Vouched: []uint8{}, Faults: []string{}}
	touched, err := s.Merge(ctx, func(entries []ledger.Placed, q *ledger.TouchedPatient) error {
		p := report.PatientOf(q, entries)
		t.Entries += uint64(len(entries))
		if !scope.Count(&s.asked.Look, q.Patient, &p) {
			return nil
		}
		t.First = min(p.First, first(t.First, p.First))
		t.Last = max(t.Last, p.Last)
		return lines.Encode(p)
	})
	if err = errors.Join(err, w.Flush()); err != nil {
		return nil, err
	}
	hash := s.asked.Look.Hash()
	t.Question, t.Patients = hex.EncodeToString(hash[:]), hex.EncodeToString(sum.Sum(nil))
	t.People, t.Records, t.Directory = scope.People, scope.Records, scope.Directory
	t.Complete, t.Whole, t.Gone = touched.String(), touched.Verdict == ledger.Complete, touched.Gone
	t.Keepers = small(touched.Counted)
	for i := range touched.Lines {
		if l := &touched.Lines[i]; l.Op == ledger.OpLook && l.Request == hash {
			t.Vouched = small(l.Keepers)
		}
	}
	for _, err := range touched.Faults {
		t.Faults = append(t.Faults, err.Error())
	}
	return t, nil
}

// first is at, or another where at is not known.
func first(at, other int64) int64 {
	if at == 0 {
		return other
	}
	return at
}

func small(xs []abaton.KeeperIndex) []uint8 {
	out := make([]uint8, len(xs))
	for i, x := range xs {
		out[i] = uint8(x)
	}
	return out
}
