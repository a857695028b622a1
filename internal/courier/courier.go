// Package courier carries an organisation's alerts to its own systems: asks the
// keepers again and again, remembers durably what was told to whom, and sends until
// it is taken (docs/OPERATING.md, Alerts).
//
//	c, err := courier.New(courier.Settings{Config: config, Organisation: org, Ask: ask})
//	defer c.Close()
//	err = c.Run(ctx)
//
// One target that fails holds up no other. Each alert goes out at least once, for
// three days; the same name says that it is the same. It protects nobody from a
// machine that stops: a receiver that hears no heartbeat raises the alarm itself.
package courier

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/alert"
	"github.com/abaton-health/abaton/internal/deliver"
)

// Settings are what a courier needs.
type Settings struct {
	Config       *Config
	Organisation abaton.ActorID
	// Ask is one round of asking the keepers: what came, also with an error. Now is
	// in the look.
	Ask func(ctx context.Context) (alert.Look, error)
	Log *slog.Logger     // nil discards
	Now func() time.Time // nil for the clock
}

// pace is how long is waited.
type pace struct {
	again, longest time.Duration // before a second try; at most
	perTry         time.Duration
}

func usualPace() pace {
	return pace{again: 5 * time.Second, longest: 20 * time.Minute, perTry: 30 * time.Second}
}

// Courier sends alerts.
type Courier struct {
	s       Settings
	pace    pace
	targets []*target
	lock    *os.File

	mu     sync.Mutex // owns memory and the file
	memory *memory
}

// target is one receiver, and what wakes whoever sends to it.
type target struct {
	Target
	receiver receiver
	wake     chan struct{} // of one
}

// New reads secrets and state. A courier that was made is to be closed.
func New(s Settings) (*Courier, error) {
	if s.Config == nil || s.Ask == nil || s.Organisation == (abaton.ActorID{}) {
		return nil, errors.New("courier: Config, Organisation and Ask are needed")
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	c := &Courier{s: s, pace: usualPace()}
	for _, t := range s.Config.Targets {
		r, err := t.open(s.Config.Link)
		if err != nil {
			return nil, fmt.Errorf("alerts: target %s: %w", t.Name, err)
		}
		c.targets = append(c.targets, &target{Target: t, receiver: r, wake: make(chan struct{}, 1)})
	}
	var err error
	if c.lock, err = hold(s.Config.State); err != nil {
		return nil, err
	}
	if c.memory, err = readMemory(s.Config.State, s.Organisation); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.enrol(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close lets go of the file of state.
func (c *Courier) Close() error { return c.lock.Close() }

// enrol gives a new target what is open, and forgets those that are gone.
func (c *Courier) enrol() error {
	known := make(map[string]*queue)
	for _, t := range c.targets {
		q := c.memory.Queues[t.Name]
		if q == nil {
			q = new(queue)
			for _, a := range c.memory.Book.Open() {
				q.add(&a, c.s.Now(), t.Kind == "mail")
			}
		}
		known[t.Name] = q
	}
	c.memory.Queues = known
	return c.memory.write(c.s.Config.State)
}

// Run looks and sends until ctx ends. What is under way then stays in the file. It
// ends at once when the keepers refuse the first question; later they count as
// silent.
func (c *Courier) Run(ctx context.Context) error {
	var senders sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer senders.Wait()
	defer stop()
	for _, t := range c.targets {
		senders.Go(func() { c.serve(ctx, t) })
	}
	tick := time.NewTicker(c.s.Config.every())
	defer tick.Stop()
	for first := true; ; first = false {
		asked, err := c.look(ctx)
		if err != nil {
			return err
		}
		if _, refused := errors.AsType[*abaton.RefusedError](asked); refused && first {
			return asked
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Result is what one round did, for one target.
type Result struct {
	Target  string `json:"target"`
	Sent    int    `json:"sent"`
	Waiting int    `json:"waiting"`
	Fault   string `json:"fault,omitempty"` // of the last try
}

// Once looks once and tries everything that waits once, whenever its time. The
// results are there too with an error of the keepers'.
func (c *Courier) Once(ctx context.Context) ([]Result, error) {
	asked, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	return c.each(func(t *target) (r Result) {
		for range queueMax {
			sent, err := c.try(ctx, t, true)
			if err != nil {
				r.Fault = err.Error()
			}
			if !sent {
				break
			}
			r.Sent++
		}
		return r
	}), asked
}

// each does something for all targets at once.
func (c *Courier) each(do func(*target) Result) []Result {
	all := make([]Result, len(c.targets))
	var end sync.WaitGroup
	for i, t := range c.targets {
		end.Go(func() { all[i] = do(t) })
	}
	end.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, t := range c.targets {
		all[i].Target, all[i].Waiting = t.Name, len(c.memory.Queues[t.Name].Messages)
	}
	return all
}

// Check sends a test alert to each target, past whatever waits.
func (c *Courier) Check(ctx context.Context) []Result {
	var nonce [32]byte
	rand.Read(nonce[:])
	now := c.s.Now()
	m := message{Alert: alert.Test(c.s.Organisation, nonce, now.Unix())}
	m.Sum.Add(&m.Alert)
	return c.each(func(t *target) (r Result) {
		one := m
		if err := c.send(ctx, t, &one); err != nil {
			r.Fault = err.Error()
			return r
		}
		r.Sent = 1
		return r
	})
}

// look asks, and puts what is new into every queue and the file. Asked is the
// keepers' error; err that of a file that cannot be written: what was not noted must
// not go out.
func (c *Courier) look(ctx context.Context) (asked, err error) {
	l, asked := c.s.Ask(ctx)
	if ctx.Err() != nil {
		return nil, nil
	}
	if asked != nil {
		c.s.Log.WarnContext(ctx, "keepers do not answer as they should", "answers", len(l.Answers), "err", asked)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.s.Now()
	fresh := c.memory.Book.Take(&l)
	// Whom too few answer says no word of all being quiet.
	if beat := c.s.Config.heartbeat(); asked == nil && beat > 0 && now.Unix()-c.memory.Beat >= int64(beat/time.Second) {
		c.memory.Beat = now.Unix()
		fresh = append(fresh, alert.Heartbeat(c.s.Organisation, len(c.memory.Book.Open()), now.Unix()))
	}
	fresh = append(fresh, c.expire(now)...)
	for _, t := range c.targets {
		for i := range fresh {
			if a := &fresh[i]; a.What != alert.GaveUp || a.Target != t.Name {
				c.memory.Queues[t.Name].add(a, now, t.Kind == "mail")
			}
		}
	}
	if err := c.memory.write(c.s.Config.State); err != nil {
		return asked, err
	}
	for _, a := range fresh {
		c.s.Log.InfoContext(ctx, "alert", "id", a.ID, "what", a.What.String(), "act", a.Act.String())
	}
	if len(fresh) > 0 {
		c.wakeAll()
	}
	return asked, nil
}

// expire gives up what waits too long, and says so to the others.
func (c *Courier) expire(now time.Time) (fresh []alert.Alert) {
	for _, t := range c.targets {
		if gone := c.memory.Queues[t.Name].expire(now); gone > 0 {
			c.s.Log.Warn("alerts given up", "target", t.Name, "count", gone)
			fresh = append(fresh, alert.Failed(c.s.Organisation, t.Name, len(c.memory.Book.Open()), now.Unix()))
		}
	}
	return fresh
}

func (c *Courier) wakeAll() {
	for _, t := range c.targets {
		select {
		case t.wake <- struct{}{}:
		default: // it is about to look anyway
		}
	}
}

// serve sends to one target until ctx ends.
func (c *Courier) serve(ctx context.Context, t *target) {
	for ctx.Err() == nil {
		sent, err := c.try(ctx, t, false)
		if err != nil && ctx.Err() == nil {
			c.s.Log.WarnContext(ctx, "alert not taken", "target", t.Name, "err", err)
		}
		if sent {
			continue
		}
		wait := time.NewTimer(c.until(t))
		select {
		case <-ctx.Done():
		case <-t.wake:
		case <-wait.C:
		}
		wait.Stop()
	}
}

// until is how long nothing is to be sent to a target.
func (c *Courier) until(t *target) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.s.Now().Add(time.Hour)
	for _, m := range c.memory.Queues[t.Name].Messages {
		if at := time.Unix(m.Next, 0); at.Before(next) {
			next = at
		}
	}
	return max(next.Sub(c.s.Now()), 10*time.Millisecond)
}

// try sends the oldest message of a target whose time has come, or whenever its
// time, if now says so: one that is not taken holds up no newer one. That a try begins is durable before it does: what an e-mail
// sums up changes no more.
func (c *Courier) try(ctx context.Context, t *target, now bool) (sent bool, err error) {
	m, due, err := c.begin(t, now)
	if err != nil || !due {
		return false, err
	}
	err = c.send(ctx, t, &m)
	if ctx.Err() != nil && err != nil {
		return false, nil
	}
	return err == nil, errors.Join(err, c.note(t, m.Alert.ID, err))
}

func (c *Courier) begin(t *target, now bool) (m message, due bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.memory.Queues[t.Name]
	i := slices.IndexFunc(q.Messages, func(m message) bool { return now || c.s.Now().Unix() >= m.Next })
	if i < 0 {
		return m, false, nil
	}
	q.Messages[i].Tries++
	return q.Messages[i], true, c.memory.write(c.s.Config.State)
}

func (c *Courier) send(ctx context.Context, t *target, m *message) error {
	ctx, cancel := context.WithTimeout(ctx, c.pace.perTry)
	defer cancel()
	return t.receiver.send(ctx, c.s.Organisation, m, c.s.Now())
}

// ready: the receiver takes something again, so nothing waits any longer than it
// must.
func (q *queue) ready(sums bool) {
	for i := range q.Messages {
		q.Messages[i].Next = 0
		if sums {
			q.Messages[i].Next = q.Last + int64(mailEvery/time.Second)
		}
	}
}

// note writes down what became of a try.
func (c *Courier) note(t *target, id string, failed error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.memory.Queues[t.Name]
	i := slices.IndexFunc(q.Messages, func(m message) bool { return m.Alert.ID == id })
	if i < 0 {
		return nil // given up meanwhile
	}
	now := c.s.Now()
	if failed == nil {
		q.Messages, q.Last = slices.Delete(q.Messages, i, i+1), now.Unix()
		q.ready(t.Kind == "mail")
		return c.memory.write(c.s.Config.State)
	}
	m := &q.Messages[i]
	pause := deliver.Pause(m.Tries, c.pace.again, c.pace.longest)
	if f, is := errors.AsType[*deliver.Fault](failed); is {
		pause = max(pause, f.After)
	}
	m.Next = now.Add(pause + time.Second - 1).Unix() // whole seconds, upwards
	return c.memory.write(c.s.Config.State)
}
