"""What an application that embeds the engine gives to it: frames, pools, observers, and an event loop to wait in."""
