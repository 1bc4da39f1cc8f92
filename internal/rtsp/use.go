package rtsp

import (
	"understudy"
	"understudy/internal/listen"
	"understudy/internal/usage"
)

// authorize asks the library, and notes who is refused for want of rights.
func (v *viewer) authorize(token string, action understudy.Action, camera understudy.CameraID) (understudy.Identity, error) {
	who, err := v.library().Authorize(token, action, camera)
	if understudy.CodeOf(err) == understudy.CodeForbidden {
		v.handler.server.config.Uses.Refused(v.from(who), who.Address, action, camera)
	}
	return who, err
}

// use begins to note which recordings the viewer is given.
func (v *viewer) use() *usage.Using {
	return v.handler.server.config.Uses.Begin(v.from(v.who), v.who.Address, understudy.ActionPlayback, v.camera)
}

// from returns who with the address of the connection.
func (v *viewer) from(who understudy.Identity) understudy.Identity {
	who.Address = listen.Host(v.conn.NetConn().RemoteAddr().String())
	return who
}
