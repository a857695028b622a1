package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// commit is one caller's batch on its way to the disk.
type commit struct {
	batch *pebble.Batch
	done  chan error // buffered: the committer never waits for a caller
}

// Commit implements Engine. Commits that arrive while another is being synced
// share the next fsync.
func (p *Pebble) Commit(b *Batch) error {
	p.mu.RLock()
	err := p.refusal()
	p.mu.RUnlock()
	if err != nil || b.Len() == 0 {
		return err
	}
	c := &commit{batch: p.db.NewBatchWithSize(b.Bytes() + 16*b.Len()), done: make(chan error, 1)}
	if err := fill(c.batch, b); err != nil {
		return fmt.Errorf("fill batch: %w", err)
	}
	select {
	case p.commits <- c:
	case <-p.closing:
		return ErrClosed
	case <-p.poison.spread:
		return p.poison.refusal()
	}
	// When the disk is full a write can wait for a flush that never comes;
	// the caller must not wait with it.
	select {
	case err := <-c.done:
		return err
	case <-p.poison.spread:
		return p.poison.refusal()
	}
}

func fill(to *pebble.Batch, b *Batch) error {
	var err error
	b.Each(func(key, value []byte, deletes bool) bool {
		if deletes {
			err = to.Delete(key, nil)
		} else {
			err = to.Set(key, value, nil)
		}
		return err == nil
	})
	return err
}

// commitLoop owns all writing. It ends at Close, or when poisoned.
func (p *Pebble) commitLoop() {
	defer close(p.stopped)
	for {
		select {
		case c := <-p.commits:
			group := p.gather(c)
			err := p.commitGroup(group)
			for _, c := range group {
				c.done <- err
			}
			if err != nil {
				return
			}
		case <-p.closing:
			return
		case <-p.poison.spread:
			return
		}
	}
}

// gather adds the commits that are waiting already.
func (p *Pebble) gather(first *commit) []*commit {
	group, size := []*commit{first}, first.batch.Len()
	for len(group) < groupCommits && size < groupBytes {
		select {
		case c := <-p.commits:
			group, size = append(group, c), size+c.batch.Len()
		default:
			return group
		}
	}
	return group
}

func (p *Pebble) commitGroup(group []*commit) error {
	batch := group[0].batch
	err := p.poison.guard("commit", func() error {
		for _, c := range group[1:] {
			if err := batch.Apply(c.batch, nil); err != nil {
				return err
			}
		}
		return batch.Commit(p.write)
	})
	if err != nil {
		p.poison.with("commit", err)
	}
	// Pebble reports a failed write to its logger, not to its caller.
	if err := p.poison.refusal(); err != nil {
		return err
	}
	p.show()
	return nil
}

// show lets readers see what is durable now. Only the committer writes, so the
// new snapshot holds nothing beyond the group just synced.
func (p *Pebble) show() {
	fresh := p.db.NewSnapshot()
	p.mu.Lock()
	old := p.seen
	p.seen = fresh
	p.mu.Unlock()
	if err := old.Close(); err != nil {
		p.poison.with("snapshot", err)
	}
}
