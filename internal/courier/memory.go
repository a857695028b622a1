package courier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/alert"
	"github.com/abaton-health/abaton/internal/durable"
)

// memory is what the file of state holds: the cases, and what waits for whom. An
// alert is in it, durably, before it is sent, and leaves it after it was taken: a
// crash in between sends it again under the same name.
type memory struct {
	V            int               `json:"v"`
	Organisation string            `json:"organisation"`
	Book         alert.Book        `json:"book"`
	Beat         int64             `json:"beat"` // unix seconds: the last heartbeat
	Queues       map[string]*queue `json:"queues"`

	written []byte // what the file holds
}

// queue is what waits for one target, oldest first.
type queue struct {
	Messages []message `json:"messages,omitempty"`
	Last     int64     `json:"last,omitempty"`    // unix seconds: when it took one last
	Dropped  uint64    `json:"dropped,omitempty"` // given up, ever
}

// message is one alert for one target, for e-mail a sum of several.
type message struct {
	Alert alert.Alert `json:"alert"`
	Sum   alert.Sum   `json:"sum"`
	Since int64       `json:"since"`           // unix seconds: waiting since
	Tries int         `json:"tries,omitempty"` // begun
	Next  int64       `json:"next,omitempty"`  // unix seconds: not before
}

// Limits of a memory.
const (
	memoryBytesMax = 64 << 20
	// queueMax is how many messages wait for one target; with more the oldest is
	// given up.
	queueMax = 4096
	// waitMax is how long one is tried.
	waitMax = 72 * time.Hour
	// mailEvery is how often a mail target gets one: what comes meanwhile is summed
	// up in the next.
	mailEvery = time.Minute
)

// Errors of the file of state.
var (
	// ErrBusy says that another process uses the file.
	ErrBusy = errors.New("another process sends these alerts")
	// ErrState says that the file is damaged, or of another organisation.
	ErrState = errors.New("the file of state is not this organisation's, or damaged: move it away to begin anew, then every open alert is sent again")
)

// hold takes the file for this process.
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("hold %s: %w", filepath.Base(path), err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), ErrBusy)
	}
	return f, nil
}

func readMemory(path string, organisation abaton.ActorID) (*memory, error) {
	text, err := readSmall(path, memoryBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return &memory{V: 1, Organisation: organisation.String(), Queues: make(map[string]*queue)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	m := new(memory)
	if err := decodeStrict(text, m); err != nil || m.V != 1 || m.Organisation != organisation.String() || !m.sound() {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), ErrState)
	}
	return m, nil
}

// sound: nothing in it that could not be sent.
func (m *memory) sound() bool {
	if m.Queues == nil {
		return false
	}
	for _, q := range m.Queues {
		if q == nil {
			return false
		}
		for i := range q.Messages {
			if !q.Messages[i].Alert.Valid() {
				return false
			}
		}
	}
	for _, c := range m.Book.Cases {
		if c == nil || c.Alert.Case == "" {
			return false
		}
	}
	return true
}

func (m *memory) write(path string) error {
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if bytes.Equal(text, m.written) {
		return nil
	}
	if err := durable.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	m.written = text
	return nil
}

// add puts an alert at the end. Sums says that the target gets sums: what was not
// tried yet takes it in.
func (q *queue) add(a *alert.Alert, now time.Time, sums bool) {
	n := len(q.Messages)
	if a.What == alert.AllWell { // an older one says nothing any more
		for i := n - 1; i >= 0; i-- {
			if m := &q.Messages[i]; m.Alert.What == alert.AllWell && m.Sum.Empty() {
				q.Messages = slices.Delete(q.Messages, i, i+1)
				n--
			}
		}
	}
	if sums && n > 0 && q.Messages[n-1].Tries == 0 {
		q.Messages[n-1].Sum.Add(a)
		return
	}
	m := message{Alert: *a, Since: now.Unix()}
	m.Sum.Add(a)
	if sums {
		m.Next = q.Last + int64(mailEvery/time.Second)
	}
	if n >= queueMax {
		q.Messages, q.Dropped = q.Messages[1:], q.Dropped+1
	}
	q.Messages = append(q.Messages, m)
}

// expire gives up what waits too long.
func (q *queue) expire(now time.Time) (gone int) {
	kept := q.Messages[:0]
	for _, m := range q.Messages {
		if now.Unix()-m.Since >= int64(waitMax/time.Second) {
			gone++
			continue
		}
		kept = append(kept, m)
	}
	q.Messages, q.Dropped = kept, q.Dropped+uint64(gone)
	return gone
}
