package custody

import "time"

// CoreOf is the core of a keeper that does not run.
func CoreOf(cfg Config) (*Core, error) {
	c, err := coreConfig(cfg)
	if err != nil {
		return nil, err
	}
	return NewCore(c, cfg.Store, time.Unix(1_800_000_000, 0))
}

// ClockNow is what the core thinks of its clock.
func (c *Core) ClockNow() Clock { return c.clock.reading() }

// OpenMax is openMax, for tests.
const OpenMax = openMax

// PageMax sets how large the statements of one answer to a query may be.
func (k *Keeper) PageMax(bytes int) { k.pageMax = bytes }

// ReplyMax sets how large the pieces of one reply may be.
func (k *Keeper) ReplyMax(bytes int) { k.replyMax = bytes }
