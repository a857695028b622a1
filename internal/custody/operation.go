package custody

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// opOf is what a request's entry says was asked.
func opOf(q *session.Asked) ledger.Op {
	switch q.Mode {
	case session.Locks:
		if q.Grant != (abaton.GrantID{}) {
			return ledger.OpRelease // a reader who met a re-lock half way
		}
		return ledger.OpRelock
	case session.Release:
		return ledger.OpRelease
	case session.Permit:
		return ledger.OpPermit
	case session.List, session.Parts:
		return ledger.OpList
	case session.History:
		return ledger.OpHistory
	case session.Index:
		return ledger.OpIndex
	case session.Unseal:
		return ledger.OpUnseal
	case session.Confirm:
		return ledger.OpConfirm
	}
	return 0
}

// asked is every row of the request as refused.
func (v *verdict) asked() []ledger.Row {
	var rows []ledger.Row
	for _, r := range v.r.Asked.Rows {
		rows = append(rows, ledger.Row{Batch: r.Batch, Refused: r.Bits})
	}
	ledger.SortRows(rows)
	return rows
}

func (v *verdict) askedLines() []abaton.Line {
	lines := append([]abaton.Line(nil), v.r.Asked.Lines...)
	ledger.SortLines(lines)
	return lines
}
