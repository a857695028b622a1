package client

import (
	"errors"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// Sizes of a courier's messages. Two under way keep a keeper busy while the
// next is being packed; a message of middling size shares one fsync there.
const (
	courierMessages  = 2
	courierBytesMax  = 4 << 20
	courierItemsMax  = 64
	controlBytesMax  = abaton.ControlBodyMax - 4096 // room for the envelope
	courierRestMost  = time.Second                  // between two tries at a keeper that does not answer
	courierRestFirst = 20 * time.Millisecond
)

// errResting says that a keeper did not answer just now and is not tried again
// yet.
var errResting = errors.New("keeper does not answer")

// letter is one item for one keeper. reply is called once, never from within
// post.
type letter struct {
	route   string
	body    []byte         // an event, a statement, a prepared lock
	upload  func() []byte  // a sealed upload, fetched when its message is packed; nil if it is gone
	bytes   int            // of the upload
	patient abaton.ActorID // of a notice
	notice  *keeper.Notice
	reply   func(ok []byte, err error)
}

func (l *letter) size() int {
	if l.notice != nil {
		size := len(l.notice.Head) + len(l.notice.Lock) + 64
		for _, r := range l.notice.Receipts {
			size += len(r)
		}
		return size
	}
	return len(l.body) + l.bytes + 16
}

// courier carries what one keeper is to get, many items in one message.
type courier struct {
	n      *Network
	x      abaton.KeeperIndex
	keeper Keeper

	mu     sync.Mutex
	queue  []letter
	busy   int
	misses int       // messages in a row without an answer
	rests  time.Time // until then nothing is sent
}

// post queues a letter.
func (c *courier) post(l letter) {
	c.mu.Lock()
	c.queue = append(c.queue, l)
	start := c.busy < courierMessages
	if start {
		c.busy++
	}
	c.mu.Unlock()
	if start {
		c.n.run(c.work)
	}
}

// work sends messages until the queue is empty.
func (c *courier) work() {
	for {
		letters, resting := c.take()
		if len(letters) == 0 {
			return
		}
		if resting {
			answer(letters, nil, errResting)
			continue
		}
		c.send(letters)
	}
}

// take picks the next message: the first letter and what fits with it.
func (c *courier) take() (letters []letter, resting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || c.n.ctx.Err() != nil {
		c.busy--
		return nil, false
	}
	first, size := c.queue[0], 0
	kept := c.queue[:0:0]
	for _, l := range c.queue {
		fits := l.route == first.route && l.patient == first.patient && len(letters) < itemsMax(first.route) &&
			(len(letters) == 0 || size+l.size() <= bytesMax(first.route))
		if !fits {
			kept = append(kept, l)
			continue
		}
		letters, size = append(letters, l), size+l.size()
	}
	c.queue = kept
	return letters, c.n.now().Before(c.rests)
}

func itemsMax(route string) int {
	if route == keeper.RouteDeposit {
		return courierItemsMax
	}
	return abaton.EventsPerMessageMax
}

func bytesMax(route string) int {
	if route == keeper.RouteDeposit {
		return courierBytesMax
	}
	return controlBytesMax
}

func (c *courier) send(letters []letter) {
	if letters = fetch(letters); len(letters) == 0 {
		return
	}
	body, err := c.n.call(c.n.ctx, c.x, letters[0].route, pack(letters))
	c.heard(err)
	if err != nil {
		answer(letters, nil, err)
		return
	}
	var results keeper.Results
	if wire.Unmarshal(body, &results) != nil || results.V != wire.Version || len(results.Results) != len(letters) {
		answer(letters, nil, errAnswer)
		return
	}
	answer(letters, results.Results, nil)
}

// errGone says that an upload is no longer in the outbox, or cannot be read.
var errGone = errors.New("upload cannot be read from the outbox")

// fetch reads the uploads of letters; those that are gone are answered. Until
// now they lay in the outbox alone: what waits for a slow keeper takes no
// memory.
func fetch(letters []letter) []letter {
	kept := letters[:0:0]
	for _, l := range letters {
		if l.upload != nil {
			if l.body = l.upload(); l.body == nil {
				answer([]letter{l}, nil, errGone)
				continue
			}
			l.bytes = 0
		}
		kept = append(kept, l)
	}
	return kept
}

// errAnswer says that a keeper's answer is not one.
var errAnswer = errors.New("keeper's answer does not hold")

// heard keeps count of silence: a keeper that does not answer gets one message
// at a time, with a pause between.
func (c *courier) heard(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || reasonOf(err) != "" {
		c.misses, c.rests = 0, time.Time{}
		return
	}
	rest := courierRestFirst << min(c.misses, 10)
	c.misses++
	c.rests = c.n.now().Add(min(rest, courierRestMost))
}

// pack makes the message of letters of one route.
func pack(letters []letter) []byte {
	items := make([][]byte, len(letters))
	for i := range letters {
		items[i] = letters[i].body
	}
	switch letters[0].route {
	case keeper.RouteDeposit:
		return wire.Marshal(keeper.Deposits{V: wire.Version, Uploads: items})
	case keeper.RoutePrepare:
		return wire.Marshal(keeper.Prepares{V: wire.Version, Prepares: items})
	case keeper.RouteEvents:
		return wire.Marshal(keeper.Events{V: wire.Version, Events: items})
	case keeper.RouteCertify:
		return wire.Marshal(keeper.Certificates{V: wire.Version, Statements: items})
	case keeper.RouteNotices:
		m := keeper.Notices{V: wire.Version, Patient: letters[0].patient}
		for i := range letters {
			m.Notices = append(m.Notices, *letters[i].notice)
		}
		return wire.Marshal(m)
	}
	panic("client: no message for this route")
}

func answer(letters []letter, results []keeper.Result, err error) {
	for i := range letters {
		switch {
		case err != nil:
			letters[i].reply(nil, err)
		case results[i].Reason != "":
			letters[i].reply(nil, abaton.Refuse(results[i].Reason))
		default:
			letters[i].reply(results[i].OK, nil)
		}
	}
}

// post sends a letter to keeper x.
func (n *Network) post(x abaton.KeeperIndex, l letter) { n.couriers[x].post(l) }

// inForce reports whether a step has met its quorum.
func inForce(s quorum.State) bool { return s == quorum.Durable || s == quorum.Settled }
