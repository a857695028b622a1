package custody

// OpenMax is openMax, for tests.
const OpenMax = openMax

// ReplyMax sets how large the pieces of one reply may be.
func (k *Keeper) ReplyMax(bytes int) { k.replyMax = bytes }
