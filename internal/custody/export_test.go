package custody

// OpenMax is openMax, for tests.
const OpenMax = openMax

// PageMax sets how large the statements of one answer to a query may be.
func (k *Keeper) PageMax(bytes int) { k.pageMax = bytes }

// ReplyMax sets how large the pieces of one reply may be.
func (k *Keeper) ReplyMax(bytes int) { k.replyMax = bytes }
