package keeper_test

import (
	"bytes"
	"testing"

	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// FuzzMessages: whatever is accepted as a message is its one encoding.
func FuzzMessages(f *testing.F) {
	f.Add(byte(0), wire.Marshal(keeper.Deposits{V: 1, Uploads: [][]byte{{1}}}))
	f.Add(byte(1), wire.Marshal(keeper.Reply{V: 1, Pieces: [][]byte{{1}}, Notices: []keeper.Notice{{}}}))
	f.Add(byte(2), wire.Marshal(keeper.Query{V: 1}))
	f.Add(byte(3), wire.Marshal(keeper.Statements{V: 1}))
	f.Add(byte(4), wire.Marshal(keeper.Receipt{V: 1}))
	f.Add(byte(5), wire.Marshal(keeper.Results{V: 1, Results: []keeper.Result{{OK: []byte{1}}}}))
	f.Add(byte(6), wire.Marshal(keeper.SealedReply{V: 1}))
	f.Add(byte(7), wire.Marshal(keeper.Notices{V: 1}))
	f.Add(byte(13), wire.Marshal(keeper.Repair{V: 1, Kind: keeper.RepairSums, Rows: []keeper.RepairRow{{Bits: 1}}, Parts: [][]byte{{1}}}))
	f.Add(byte(14), wire.Marshal(keeper.Repaired{V: 1, Items: []keeper.RepairPiece{{Fragments: []keeper.RepairFragment{{Length: 1}}}}, Gone: []keeper.RepairedLeaf{{}}}))
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		messages := []any{
			new(keeper.Deposits), new(keeper.Reply), new(keeper.Query), new(keeper.Statements), new(keeper.Receipt),
			new(keeper.Results), new(keeper.SealedReply), new(keeper.Notices), new(keeper.Events), new(keeper.Certificates),
			new(keeper.Statement), new(keeper.Opened), new(keeper.Disclosure),
			new(keeper.Repair), new(keeper.Repaired),
		}
		m := messages[int(kind)%len(messages)]
		if wire.Unmarshal(data, m) != nil {
			return
		}
		if !bytes.Equal(wire.Marshal(m), data) {
			t.Errorf("%T: accepted another encoding than its own", m)
		}
	})
}
