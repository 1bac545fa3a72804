// Words of the login page. [English, 中文].

export const login = {
  'login.title': ['Log in to flyball', '登录 flyball'],
  'login.name': ['Name', '用户名'],
  'login.password': ['Password', '密码'],
  'login.go': ['Log in', '登录'],
  'login.wrong': ['Name or password is wrong', '用户名或密码错误'],
  'login.throttled': ['Too many tries. Try again in {left}', '尝试过多。{left}后再试'],
  'login.link': ['Opening with the one-time link', '正在用一次性链接打开'],
  'login.link.wrong': ['This link was used already or is too old. Log in with name and password, or get a new one: flyball link', '此链接已被使用或已过期。请用用户名和密码登录，或重新获取：flyball link'],
  'login.ended': ['Your session has ended. Log in again; you come back to where you were.', '会话已结束。请重新登录，登录后会回到原来的页面。'],
} as const
