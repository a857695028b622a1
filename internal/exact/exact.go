// Package exact keeps the answers to a look on disk, and makes the exact list of
// them, patient by patient, in memory that does not grow with the list.
//
//	s, err := exact.Begin(dir, asked, trust)  // or exact.Resume(dir, trust)
//	err = network.Exact(ctx, s.Look(), s)     // pages as they come, each verified
//	touched, err := s.Merge(ctx, func(about []ledger.Placed, p *ledger.TouchedPatient) error { ... })
//
// What a folder holds is what keepers told, each page with the checkpoint and the
// cover that prove it. An asking that broke off goes on where it was; a merge
// verifies every page again, so a folder that somebody changed names a keeper whose
// answer does not count, never a list that looks right.
//
// It does not protect what it keeps: ledger entries name people and patients by
// their names as actors, which keepers know too. A folder belongs in the
// organisation's own hands, and is made for its owner alone.
package exact

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// questionFile holds the question of a folder.
const questionFile = "question.cbor"

// question is what a folder's answers answer, and what ties a report's key to it.
type question struct {
	V    uint8       `cbor:"1,keyasint"`
	Look ledger.Look `cbor:"2,keyasint"`
	Salt []byte      `cbor:"3,keyasint"`
}

// Spool is the answers to one look, on disk. It is not safe for concurrent use;
// client.Network.Exact calls it from one at a time.
type Spool struct {
	// Progress hears after each page how many entries a keeper has told; nil is
	// deaf. Told says that it was the last.
	Progress func(x abaton.KeeperIndex, entries uint64, told bool)

	dir    string
	asked  report.Asked
	trust  *report.Trust
	front  *ledger.Survey // of what came in this process: a page that is wrong ends an answer at once
	books  map[abaton.KeeperIndex]*book
	faults []fault
	shelf  int64 // shelfBytesMax; less in tests
}

// fault is why an answer does not count that no page shows.
type fault struct {
	keeper abaton.KeeperIndex
	check  string
	at     uint64
}

// Begin makes a folder for the answers to a question. It must not have another's.
func Begin(dir string, asked report.Asked, t *report.Trust) (*Spool, error) {
	if !asked.Look.Valid() {
		return nil, errors.New("begin exact list: the question may not be asked")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("begin exact list: %w", err)
	}
	path := filepath.Join(dir, questionFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("begin exact list: %s holds the answers to another question", dir)
	}
	q := question{V: wire.Version, Look: asked.Look, Salt: asked.Salt[:]}
	if err := durable.WriteFile(path, wire.Marshal(q), 0o600); err != nil {
		return nil, fmt.Errorf("begin exact list: %w", err)
	}
	return open(dir, asked, t)
}

// Resume opens a folder that Begin made, with what was told so far.
func Resume(dir string, t *report.Trust) (*Spool, error) {
	b, err := os.ReadFile(filepath.Join(dir, questionFile))
	if err != nil {
		return nil, fmt.Errorf("resume exact list: %w", err)
	}
	asked, err := parseQuestion(b)
	if err != nil {
		return nil, fmt.Errorf("resume exact list: %w", err)
	}
	return open(dir, asked, t)
}

func parseQuestion(b []byte) (asked report.Asked, err error) {
	var q question
	if wire.Unmarshal(b, &q) != nil || q.V != wire.Version || !q.Look.Valid() || len(q.Salt) != len(asked.Salt) {
		return asked, errors.New("the question is damaged or of another version")
	}
	asked.Look = q.Look
	copy(asked.Salt[:], q.Salt)
	return asked, nil
}

func open(dir string, asked report.Asked, t *report.Trust) (*Spool, error) {
	s := &Spool{dir: dir, asked: asked, trust: t, front: ledger.NewSurvey(asked.Look, t.Shape), books: make(map[abaton.KeeperIndex]*book), shelf: shelfBytesMax}
	for x := range t.Keepers {
		b, err := openBook(filepath.Join(dir, fmt.Sprintf("k%d.pages", x)))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open answers of keeper %d: %w", x, err), s.Close())
		}
		s.books[x] = b
	}
	return s, nil
}

// Close closes the folder. What was told stays in it.
func (s *Spool) Close() error {
	var all []error
	for _, b := range s.books {
		all = append(all, b.file.Close())
	}
	return errors.Join(all...)
}

// Look is the question.
func (s *Spool) Look() ledger.Look { return s.asked.Look }

// Asked is the question with what ties a report's key to it.
func (s *Spool) Asked() report.Asked { return s.asked }

// Entries is how many entries all keepers have told.
func (s *Spool) Entries() (n uint64) {
	for _, b := range s.books {
		n += b.entries
	}
	return n
}

// From is client.Answers.
func (s *Spool) From(x abaton.KeeperIndex) (from uint64, told bool) {
	b := s.books[x]
	return b.next, b.told
}

// Take is client.Answers. What it returns nil for survives this process.
func (s *Spool) Take(x abaton.KeeperIndex, page *ledger.Found) error {
	if err := s.front.Sift(x, page, func(*ledger.Placed) error { return nil }); err != nil {
		return err
	}
	b := s.books[x]
	if err := b.add(page); err != nil {
		return fmt.Errorf("keep answer of keeper %d: %w", x, err)
	}
	if s.Progress != nil {
		s.Progress(x, b.entries, b.told)
	}
	return nil
}

// Done is client.Answers: the last page says so itself, and the trust since when a
// ledger speaks.
func (s *Spool) Done(abaton.KeeperIndex, int64) {}

// Fault is client.Answers.
func (s *Spool) Fault(x abaton.KeeperIndex, check string, at uint64) {
	s.faults = append(s.faults, fault{x, check, at})
}
