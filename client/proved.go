package client

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// provedMax bounds each of the two memories; one that is full begins anew.
// A batch has one pair of HEAD and LOCK and up to five receipts.
const provedMax = 1 << 16

// proved remembers which bytes have been verified: a chart is listed again
// and again, and its seven signatures for each batch would be most of the
// cost. Only what held is kept, by the hash of all the bytes that it hangs
// on, so a changed byte is verified like a new one. The zero value is ready.
type proved struct {
	mu       sync.Mutex
	locked   map[[32]byte]locked
	receipts map[[32]byte]abaton.KeeperIndex
}

// locked is a HEAD and a LOCK, each valid by itself. Nobody changes them.
type locked struct {
	head *spread.Head
	lock *spread.Lock
}

// parse is spread.ParseHead and spread.ParseLock, once for the same bytes.
func (p *proved) parse(head, lock wire.Signed) (locked, error) {
	name := hashOf(head.Body, head.Sig, lock.Body, lock.Sig)
	p.mu.Lock()
	known, ok := p.locked[name]
	p.mu.Unlock()
	if ok {
		return known, nil
	}
	var err error
	if known.head, err = spread.ParseHead(head); err != nil {
		return locked{}, err
	}
	if known.lock, err = spread.ParseLock(lock); err != nil {
		return locked{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.locked == nil || len(p.locked) >= provedMax {
		p.locked = make(map[[32]byte]locked)
	}
	p.locked[name] = known
	return known, nil
}

// receipt is VerifyReceipt, once for the same bytes; zero for nobody's.
func (p *proved) receipt(set *actor.Set, signed []byte, batch abaton.BatchName, lock [32]byte) abaton.KeeperIndex {
	name := hashOf(batch[:], lock[:], signed)
	p.mu.Lock()
	x, ok := p.receipts[name]
	p.mu.Unlock()
	if ok {
		return x
	}
	r, err := VerifyReceipt(set, signed, batch, lock)
	if err != nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.receipts == nil || len(p.receipts) >= provedMax {
		p.receipts = make(map[[32]byte]abaton.KeeperIndex)
	}
	p.receipts[name] = r.Keeper
	return r.Keeper
}

// hashOf names a list of byte strings; lengths keep them apart.
func hashOf(parts ...[]byte) (name [32]byte) {
	h := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	h.Sum(name[:0])
	return name
}
