package gateway

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/wire"
)

// pleas are what people without any device ask of their helpers, and what the
// helpers answered: one file each, by the hash of the recover event. Nothing in
// them opens anything: parts are sealed to the new device.
type pleas struct {
	dir string // empty: none are kept
	now func() time.Time

	mu  sync.Mutex
	all map[actor.Hash]*pleading
}

// pleading is what is known of a plea without reading its file.
type pleading struct {
	actor abaton.ActorID
	since int64 // unix seconds
	helps int
}

// plea is one file of the folder.
type plea struct {
	V     uint64 `cbor:"1,keyasint"`
	Event []byte `cbor:"2,keyasint"` // recover event, not signed
	Since int64  `cbor:"3,keyasint"` // when it came, unix seconds
	Helps []help `cbor:"4,keyasint"`
}

// help is what one helper gave.
type help struct {
	Trustee abaton.ActorID `cbor:"1,keyasint"`
	Proof   []byte         `cbor:"2,keyasint"` // assertion over the event
	Part    []byte         `cbor:"3,keyasint"` // sealed to the event's box
}

// errPleas says that the folder does not take or give a plea.
var errPleas = errors.New("pleas for help")

const pleaSuffix = ".plea"

// openPleas reads what was asked before.
func (g *Gateway) openPleas(c Config) error {
	g.pleas = &pleas{now: g.now, all: make(map[actor.Hash]*pleading)}
	if c.Wraps == "" {
		return nil
	}
	g.pleas.dir = filepath.Join(c.Wraps, "pleas")
	entries, err := os.ReadDir(g.pleas.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // nobody asked yet
		return fmt.Errorf("gateway: Wraps: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), pleaSuffix)
		raw, err := hex.DecodeString(name)
		if !ok || err != nil || len(raw) != len(actor.Hash{}) {
			continue
		}
		id := actor.Hash(raw)
		if p, err := g.pleas.read(id); err == nil {
			g.pleas.know(id, p)
		}
	}
	return nil
}

func (p *pleas) path(id actor.Hash) string {
	return filepath.Join(p.dir, hex.EncodeToString(id[:])+pleaSuffix)
}

func (p *pleas) read(id actor.Hash) (*plea, error) {
	data, err := os.ReadFile(p.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, abaton.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPleas, err)
	}
	var one plea
	if wire.Unmarshal(data, &one) != nil || one.V != wire.Version || actor.HashOf(one.Event) != id {
		return nil, fmt.Errorf("%w: a file is damaged", errPleas)
	}
	return &one, nil
}

func (p *pleas) write(id actor.Hash, one *plea) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", errPleas, err)
	}
	if err := durable.WriteFile(p.path(id), wire.Marshal(one), 0o600); err != nil {
		return fmt.Errorf("%w: %w", errPleas, err)
	}
	p.know(id, one)
	return nil
}

func (p *pleas) know(id actor.Hash, one *plea) {
	var e actor.Event
	if wire.Unmarshal(one.Event, &e) == nil {
		p.all[id] = &pleading{actor: e.Actor, since: one.Since, helps: len(one.Helps)}
	}
}

// get is a plea with its answers; abaton.ErrNotFound.
func (p *pleas) get(id actor.Hash) (*plea, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[id] == nil {
		return nil, abaton.ErrNotFound
	}
	return p.read(id)
}

// put keeps a plea. The same again changes nothing. False where there is no
// room for it.
func (p *pleas) put(of abaton.ActorID, event []byte) (ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := actor.HashOf(event)
	if p.all[id] != nil {
		return true, nil
	}
	if err := p.room(of); err != nil {
		return false, err
	}
	if len(p.all) >= pleasMax || p.of(of) >= pleasOfOneMax {
		return false, nil
	}
	return true, p.write(id, &plea{V: wire.Version, Event: event, Since: p.now().Unix()})
}

func (p *pleas) of(who abaton.ActorID) (n int) {
	for _, a := range p.all {
		if a.actor == who {
			n++
		}
	}
	return n
}

// room drops what is too old, and where there is too much the oldest that no
// helper answered: whoever asks in somebody else's name pushes out nothing that
// a helper stands behind, and the page of the true one asks again.
func (p *pleas) room(of abaton.ActorID) error {
	for id, a := range p.all {
		if p.now().Unix()-a.since > int64(pleaLife/time.Second) {
			if err := p.drop(id); err != nil {
				return err
			}
		}
	}
	if p.of(of) >= pleasOfOneMax {
		if err := p.dropOldest(func(a *pleading) bool { return a.actor == of }); err != nil {
			return err
		}
	}
	if len(p.all) >= pleasMax {
		return p.dropOldest(func(*pleading) bool { return true })
	}
	return nil
}

func (p *pleas) dropOldest(which func(*pleading) bool) error {
	var oldest *actor.Hash
	for id, a := range p.all {
		if a.helps == 0 && which(a) && (oldest == nil || a.since < p.all[*oldest].since) {
			oldest = &id
		}
	}
	if oldest == nil {
		return nil
	}
	return p.drop(*oldest)
}

func (p *pleas) drop(id actor.Hash) error {
	delete(p.all, id)
	if err := os.Remove(p.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errPleas, err)
	}
	return nil
}

// answer adds what a helper gave. False where that helper answered before: the
// first answer stands.
func (p *pleas) answer(id actor.Hash, h help) (ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[id] == nil {
		return false, abaton.ErrNotFound
	}
	one, err := p.read(id)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(one.Helps, func(have help) bool { return have.Trustee == h.Trustee }) {
		return false, nil
	}
	one.Helps = append(one.Helps, h)
	return true, p.write(id, one)
}
