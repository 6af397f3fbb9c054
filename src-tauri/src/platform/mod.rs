//! Everything that differs between desktop and phone; no other module asks which it is.

#[cfg(desktop)]
mod desktop;
#[cfg(mobile)]
mod mobile;

#[cfg(desktop)]
pub(crate) use desktop::garage_config;
#[cfg(mobile)]
pub(crate) use mobile::garage_config;
