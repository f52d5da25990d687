package consent

import "time"

// Choice is what a visitor decided, under one revision of the site's policy.
type Choice struct {
	// Revision is the policy revision that was shown, from 1.
	Revision uint32
	// Categories are those agreed to.
	Categories Set
	// At is when the choice was made, in whole seconds.
	At time.Time
	// ID names the receipt of the choice.
	ID ID
}

// Standing is what holds for one request: the value that every decision about
// it is made from.
type Standing struct {
	// Granted is what may reach the visitor and leave them. It may hold
	// Unclassified, where the site lets unknown third parties pass.
	Granted Set
	// Regime is how consent works for this visitor.
	Regime Regime
	// Made reports whether a valid choice stands; without one the visitor
	// is asked.
	Made bool
	// Objection is how the browser says that its user objects to being
	// tracked.
	Objection Objection
	// Child reports that the site says that the visitor is a child: nothing
	// beyond Necessary is granted and nothing is asked.
	Child bool
	// Choice is the choice that stands, if Made.
	Choice Choice
}

// Honours reports whether Global Privacy Control is sent and takes something out:
// no choice stands, and the regime grants without one.
func (s *Standing) Honours() bool {
	return s.Objection == GPC && !s.Made && !s.Child && s.Regime != OptIn
}

// Objection is a signal by which a browser objects to tracking on its user's
// behalf.
type Objection uint8

// The signals.
const (
	NoObjection Objection = iota
	GPC                   // Sec-GPC: 1, Global Privacy Control
	DNT                   // DNT: 1, Do Not Track, where the site honours it
)

// StandChild returns what holds for a child.
func StandChild(objection Objection) Standing { return Standing{Objection: objection, Child: true} }

// Stand works out what holds for a visitor. choice is nil where none stands.
//
// Without a choice the regime decides: nothing is granted under OptIn,
// everything under OptOut and Notice. An objection takes Marketing and Social
// out wherever no choice was made by hand.
func Stand(regime Regime, choice *Choice, objection Objection) Standing {
	s := Standing{Regime: regime, Objection: objection}
	switch {
	case choice != nil:
		s.Made, s.Choice, s.Granted = true, *choice, choice.Categories
	case regime == OptIn:
	default:
		s.Granted = All
		if objection != NoObjection {
			s.Granted = s.Granted.Without(Marketing).Without(Social)
		}
	}
	return s
}
