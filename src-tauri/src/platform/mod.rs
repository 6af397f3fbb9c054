//! The differences between desktop and phone. No other module uses `cfg(mobile)` or `cfg(desktop)`.

#[cfg(desktop)]
mod desktop;
#[cfg(mobile)]
mod mobile;

#[cfg(desktop)]
pub(crate) use desktop::garage_config;
#[cfg(mobile)]
pub(crate) use mobile::garage_config;
