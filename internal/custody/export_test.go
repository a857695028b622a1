package custody

import "github.com/abaton-health/abaton/actor"

// OpenMax is openMax, for tests.
const OpenMax = openMax

// PageMax sets how large the statements of one answer to a query may be.
func (k *Keeper) PageMax(bytes int) { k.pageMax = bytes }

// ReplyMax sets how large the pieces of one reply may be.
func (k *Keeper) ReplyMax(bytes int) { k.replyMax = bytes }

// ReadPrepare decodes what comes in a box, for the fuzzer.
func ReadPrepare(message []byte) error {
	_, err := readPrepare(message)
	return err
}

// ReadCommit decodes a commit and says how many locks it names.
func ReadCommit(body []byte, set *actor.Set) (int, error) {
	in, err := readCommit(body, set)
	return len(in.Locks), err
}
