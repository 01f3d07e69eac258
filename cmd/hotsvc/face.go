package main

import (
	"hotsvc/internal/engine"
	"hotsvc/internal/service"
	"hotsvc/internal/superdir"
)

// faceCall is the number of the call by which supervise/ is kept up to date.
const faceCall = shutdownCall - 1

// newFace makes what shows runit's services to runit's tools. From then on
// their directories are claimed as they are read.
func (d *daemon) newFace() error {
	face, err := superdir.New(superdir.Config{Post: d.send, ID: faceCall, Warn: func(line string) { d.log.Warn(line) }})
	if err != nil {
		return err
	}
	d.face, d.layout.Claim = face, face.Claim
	return nil
}

// faceSaw tells the face of which service there may be news.
func (d *daemon) faceSaw(e *engine.Effect) {
	switch e.Kind {
	case engine.EffectSave:
		d.face.Changed(e.Service)
	case engine.EffectForget:
		d.face.Gone(e.Service)
	case engine.EffectGlobal:
		if d.suspended != e.Text {
			d.suspended = e.Text
			d.face.All()
		}
	}
}

// post puts something in the inbox, for the core. What was written to a control
// FIFO before is heard before: a script that says `svc -o .` with another's svc
// and ends, or is then told to run again over the socket, was first.
func (d *daemon) post(in engine.Input) {
	switch {
	case in.Process != nil && in.Process.Kind == service.Exited:
		d.face.Heed(in.Process.Service)
	case in.Call != nil:
		for _, name := range in.Call.Services {
			d.face.Heed(name)
		}
	}
	d.send(in)
	if in.Config != nil {
		d.face.Anew()
	}
}

// send is post without looking at the FIFOs.
func (d *daemon) send(in engine.Input) {
	select {
	case d.inbox <- in:
	case <-d.deaf:
	}
}
