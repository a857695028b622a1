package detect

// desk is a device and the last people who opened something on it. Where
// several people of a house work, nobody is a stranger: a computer of a ward
// that somebody comes to for the first time is no second device of a thief.
type desk struct {
	who [deskPeople]uint64
	at  [deskPeople]uint32
}

// deskPeople is how many people make a device a desk of the house. A thief who
// has brought so many passkeys to one laptop has made it one.
const deskPeople = 3

// sit notes a person at a device.
func (w *Watch) sit(a *Act, now uint32) {
	device, who := short(a.Device), short(a.Actor)
	d, known := w.desks[device]
	if a.Program || !known && len(w.desks) >= DesksMax {
		return
	}
	at := 0
	for i := range d.at {
		if d.at[i] != 0 && d.who[i] == who {
			at = i
			break
		}
		if d.at[i] < d.at[at] {
			at = i
		}
	}
	d.who[at], d.at[at] = who, max(d.at[at], now)
	w.desks[device] = d
}

// shared: a desk where several people were in the last month.
func (w *Watch) shared(device uint64, now uint32) bool {
	d := w.desks[device]
	for _, at := range d.at {
		if at == 0 || !within(now, at, month) {
			return false
		}
	}
	return true
}

func (d *desk) alive(now uint32) bool {
	for _, at := range d.at {
		if at != 0 && within(now, at, month) && !ahead(now, at) {
			return true
		}
	}
	return false
}
