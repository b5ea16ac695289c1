-- What happened is never the fault of what is deployed: an Incident is healthy, whatever it says.
local status = obj.status or {}
return {status = "Healthy", message = (status.severity or "not judged yet") .. ": " .. (status.title or obj.metadata.name)}
