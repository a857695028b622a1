package careteam

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// DutyNote says which duty chart takes the copies of what is filed for a
// patient.
type DutyNote struct {
	Patient, Chart abaton.ActorID
}

type dutyNoteForm struct {
	V       uint64         `cbor:"1,keyasint"`
	Patient abaton.ActorID `cbor:"2,keyasint"`
	Chart   abaton.ActorID `cbor:"3,keyasint"`
}

// ErrDutyNote says that a line of the list of duty charts is none, or is not for
// this gateway.
var ErrDutyNote = errors.New("list of duty charts: a line does not open")

// dutyLineMax bounds one line, in bytes.
const dutyLineMax = 4096

// Seal is a line of the list of duty charts of a gateway: only the gateway, with
// the organisation's box, sees who stands in it.
func (d DutyNote) Seal(org abaton.ActorID, box key.BoxPublic) ([]byte, error) {
	sealed, err := box.SealTo(wire.DutyNote, org[:], wire.Marshal(dutyNoteForm{wire.Version, d.Patient, d.Chart}))
	if err != nil {
		return nil, fmt.Errorf("seal duty note: %w", err)
	}
	return append([]byte(base64.RawStdEncoding.EncodeToString(sealed)), '\n'), nil
}

// ParseDutyNote opens a line without its end; ErrDutyNote.
func ParseDutyNote(line []byte, org abaton.ActorID, box *key.Box) (d DutyNote, err error) {
	var f dutyNoteForm
	if len(line) > dutyLineMax {
		return d, ErrDutyNote
	}
	sealed, err := base64.RawStdEncoding.Strict().AppendDecode(nil, line)
	if err != nil {
		return d, ErrDutyNote
	}
	plain, err := box.OpenFrom(wire.DutyNote, org[:], sealed)
	if err != nil || wire.Unmarshal(plain, &f) != nil || f.V != wire.Version || f.Patient == f.Chart ||
		f.Patient == (abaton.ActorID{}) || f.Chart == (abaton.ActorID{}) {
		return d, ErrDutyNote
	}
	return DutyNote{f.Patient, f.Chart}, nil
}

// AddDutyNote appends a sealed line to a list that is there, and makes it durable.
func AddDutyNote(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("list duty chart: %w", err)
	}
	_, err = f.Write(line)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("list duty chart: %w", err)
	}
	return nil
}

// DutyList is a gateway's list of duty charts: a file that only grows. What was
// added is read at the next question. Safe for concurrent use.
type DutyList struct {
	path string
	org  abaton.ActorID
	box  *key.Box

	mu     sync.Mutex
	charts map[abaton.ActorID]abaton.ActorID
	read   int64 // bytes of whole lines
}

// OpenDutyList reads the list at path, which must be there.
func OpenDutyList(path string, org abaton.ActorID, box *key.Box) (*DutyList, error) {
	l := &DutyList{path: path, org: org, box: box, charts: make(map[abaton.ActorID]abaton.ActorID)}
	return l, l.more()
}

// Chart is the duty chart of a patient, the one that was listed last; zero for
// none. On an error nothing is known, and nothing is to be filed.
func (l *DutyList) Chart(patient abaton.ActorID) (abaton.ActorID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.more(); err != nil {
		return abaton.ActorID{}, err
	}
	return l.charts[patient], nil
}

// more reads what was added. A line that is being written is left for later; a
// list that shrank lost somebody's chart.
func (l *DutyList) more() error {
	f, err := os.Open(l.path)
	if err != nil {
		return fmt.Errorf("list of duty charts: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("list of duty charts: %w", err)
	}
	if info.Size() < l.read {
		return errors.New("list of duty charts: shorter than it was")
	}
	if info.Size() == l.read {
		return nil
	}
	added := make([]byte, info.Size()-l.read)
	if _, err := io.ReadFull(io.NewSectionReader(f, l.read, int64(len(added))), added); err != nil {
		return fmt.Errorf("list of duty charts: %w", err)
	}
	for {
		line, rest, whole := bytes.Cut(added, []byte("\n"))
		if !whole {
			return nil
		}
		d, err := ParseDutyNote(line, l.org, l.box)
		if err != nil {
			return err
		}
		l.charts[d.Patient] = d.Chart
		l.read, added = l.read+int64(len(line))+1, rest
	}
}
