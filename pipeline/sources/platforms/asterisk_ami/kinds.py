"""The events of the Asterisk Manager Interface that say nothing of contacts and agents.

These are the names that Asterisk documents (`managerEvent` in its source), less those that
`translator` reads: a capture of a whole AMI session is full of them.
"""

from __future__ import annotations

_DOCUMENTED = """
AGIExecEnd AGIExecStart Agents AgentsComplete Alarm AlarmClear AorDetail AorList AorListComplete
AsyncAGIEnd AsyncAGIExec AsyncAGIStart AuthDetail AuthList AuthListComplete AuthMethodNotAllowed
BridgeCreate BridgeDestroy BridgeEnter BridgeInfoChannel BridgeInfoComplete BridgeLeave BridgeMerge
BridgeVideoSourceUpdate CEL Cdr ChallengeResponseFailed ChallengeSent ChanSpyStart ChanSpyStop
ChannelTalkingStart ChannelTalkingStop ConfbridgeEnd ConfbridgeJoin ConfbridgeLeave ConfbridgeList
ConfbridgeListRooms ConfbridgeMute ConfbridgeRecord ConfbridgeStart ConfbridgeStopRecord
ConfbridgeTalking ConfbridgeUnmute ContactList ContactListComplete ContactStatus
ContactStatusDetail CoreShowChannel CoreShowChannelMapComplete CoreShowChannelsComplete
DAHDIChannel DNDState DTMFBegin DTMFEnd DeadlockStart DeviceStateChange DialBegin DialState
EndpointDetail EndpointDetailComplete EndpointList EndpointListComplete FAXSession
FAXSessionsComplete FAXSessionsEntry FAXStats FAXStatus FailedACL Flash HangupHandlerPop
HangupHandlerPush HangupHandlerRun IdentifyDetail InboundRegistrationDetail
InboundSubscriptionDetail InvalidAccountID InvalidPassword InvalidTransport Load LoadAverageLimit
LocalBridge LocalOptimizationBegin LocalOptimizationEnd LogChannel MCID MWIGet MWIGetComplete
MeetmeEnd MeetmeJoin MeetmeLeave MeetmeList MeetmeListRooms MeetmeMute MeetmeTalkRequest
MeetmeTalking MemoryLimit MessageWaiting MiniVoiceMail MixMonitorMute MixMonitorStart
MixMonitorStop NewAccountCode NewCallerid NewConnectedLine NewExten Newexten Newchannel Newstate
OriginateResponse OutboundRegistrationDetail OutboundSubscriptionDetail PJSIPMaintenanceStatus
ParkedCall ParkedCallGiveUp ParkedCallSwap ParkedCallTimeOut PeerStatus Pickup PresenceStateChange
RTCPReceived RTCPSent ReceiveFAX Registry Reload Rename RequestBadFormat RequestNotAllowed
RequestNotSupported ResourceListDetail SendFAX SessionLimit SpanAlarm SpanAlarmClear Status
StatusComplete SuccessfulAuth TransportDetail UnParkedCall UnexpectedAddress Unload UserEvent
VarSet VoicemailPasswordChange Wink
"""

SILENT = frozenset(_DOCUMENTED.split()) | {
    # Of queues and agents, but told by another event as well, or a summary.
    "AgentLogin",  # the member's QueueMemberStatus says it with the name that queues use
    "AgentLogoff",
    "AttendedTransfer",  # AgentComplete says it, for the leg, with Reason transfer
    "BlindTransfer",
    "MusicOnHoldStart",  # also plays to everybody who waits; Hold and Unhold are the agent's
    "MusicOnHoldStop",
    "QueueParams",
    "QueueSummary",
    "QueueSummaryComplete",
}
